// SPDX-License-Identifier: MIT
// Many traces: what they say together, how each counter spreads over them, the worst, and all of them as a table.
import { change, choice, digits, el, head, rated, searchBox, section, seconds } from './dom.js';
import { cost, word } from './report.js';
import { spread } from './spread.js';
import { Table } from './table.js';
import { labelOf, policyName, rate, RATES, unit } from './traces.js';
import { answer, trustBadge } from './verdict.js';

const WORST = 10,
	ANSWERS = 3;

// ---- what all say together ----

function counts(title, object) {
	return `${title} ${Object.entries(object ?? {})
		.map(([name, number]) => `${name} (${digits(number)})`)
		.join(', ')}`;
}

function changeText(data, key, change) {
	const percent = typeof change?.percent === 'number' ? change.percent : null;
	if (!change || (percent === null && !change.difference)) return ['=', 0];
	const text =
		percent === null
			? `${change.difference > 0 ? '+' : '−'}${digits(Math.abs(change.difference))} a second`
			: `${percent > 0 ? '+' : ''}${digits(Number(percent.toPrecision(3)))} %`.replace('-', '−');
	return [
		change.sure || !change.difference ? text : `${text} ?`,
		change.sure ? Math.sign(change.difference) * cost(data, key) : 0,
	];
}

// More policies than sentences are read of: the changes alone.
function changes(data) {
	const keys = data.matters.map((matter) => matter.key).filter((key) => data.values[key]);
	const rows = data.policies.map((policy, i) => [i, policy]).filter(([, policy]) => policy.changes);
	return el(
		'div',
		{ class: 'scroller low', tabindex: '0', role: 'region', 'aria-label': 'changes of each policy' },
		el(
			'table',
			{},
			el(
				'thead',
				{},
				el(
					'tr',
					{},
					el(
						'th',
						{ scope: 'col' },
						el('span', { class: 'head' }, `against ${policyName(data, 0)}`),
					),
					keys.map((key) =>
						el(
							'th',
							{ scope: 'col', class: 'number' },
							el('span', { class: 'head' }, word(data, key)),
						),
					),
				),
			),
			el(
				'tbody',
				{},
				rows.map(([i, policy]) =>
					el(
						'tr',
						{},
						el('td', {}, policyName(data, i)),
						keys.map((key) => {
							const [text, tone] = changeText(
								data,
								key,
								policy.changes[key],
							);
							return el(
								'td',
								{
									class: `number ${tone > 0 ? 'worse' : tone < 0 ? 'better' : ''}`,
								},
								text,
							);
						}),
					),
				),
			),
		),
	);
}

function together({ data }) {
	const { summary } = data,
		many = (summary.answers ?? []).length > ANSWERS;
	const left = data.left_out ?? {};
	const told = (items, text) =>
		items?.length > 0 &&
		el(
			'ul',
			{ class: 'warnings' },
			items.map((one) => el('li', {}, text(one))),
		);
	return section(
		'verdict',
		'Verdict',
		null,
		many ? changes(data) : el('div', { class: 'answers' }, (summary.answers ?? []).map(answer)),
		el(
			'p',
			{ class: 'note' },
			many
				? 'Changes of the mean rate a second; ?: the 95 % interval has both signs.'
				: 'Changes of the mean rate a second, with their 95 % intervals over the traces.',
		),
		el(
			'div',
			{ class: 'trust' },
			el('span', { class: 'trust-label' }, 'Trust'),
			Object.entries(summary.trust ?? {}).map(([name, number]) =>
				el('span', {}, trustBadge(name), ` ${digits(number)}`),
			),
		),
		told(summary.failures, (one) => `${one.name}: failed: ${one.error}`),
		told(summary.notes, String),
		told(
			summary.warnings,
			(one) => `${digits(one.traces)} ${one.traces === 1 ? 'trace' : 'traces'}: ${one.text}`,
		),
		el(
			'p',
			{ class: 'facts' },
			[
				`${digits(summary.traces ?? 0)} traces`,
				counts('kernels', summary.kernels),
				summary.lost_events > 0 && `${digits(summary.lost_events)} events lost`,
				left.traces > 0 &&
					`${digits(left.traces)} traces are too much for this page, which has a fair sample; the verdict is of all`,
				left.counters > 0 && `${digits(left.counters)} counters are too much for this page`,
				`refold ${data.version}`,
			]
				.filter(Boolean)
				.map((fact) => el('span', {}, fact)),
		),
	);
}

// ---- traces ----

// The trace's name; a link, if it has a page.
function link(data, trace) {
	const name = String(trace.name);
	if (!trace.page) return name;
	const path = [...String(data.pages).split('/'), trace.page].map(encodeURIComponent).join('/');
	return el('a', { href: path.startsWith('%') ? `./${path}` : path }, name);
}

function compared(context) {
	const { data, baseline, policy } = context;
	return data.traces
		.map((trace, i) => ({
			trace,
			before: rate(data, context, i, baseline),
			after: rate(data, context, i, policy),
		}))
		.filter(({ before, after }) => before !== null && after !== null);
}

function worst(context) {
	const { data, baseline, policy } = context;
	const rows = compared(context)
		.sort((a, b) => b.after - b.before - (a.after - a.before) || b.after - a.after)
		.slice(0, WORST);
	const heads = [
		'trace',
		policyName(data, baseline),
		policyName(data, policy),
		'change',
		'trust',
		'kernel',
		'labels',
	];
	return section(
		'worst',
		`The ten worst: ${unit(data, context)}`,
		`Where ${policyName(data, policy)} costs most more than ${policyName(data, baseline)}.` +
			(data.pages !== undefined ? ' A link leads to the page of the trace.' : ''),
		el(
			'div',
			{ class: 'chart' },
			el(
				'table',
				{ class: 'plain wide' },
				head(heads, (i) => i > 0 && i < 4),
				el(
					'tbody',
					{},
					rows.map(({ trace, before, after }) =>
						el(
							'tr',
							{},
							el('td', {}, link(data, trace)),
							[rated(before), rated(after), change(before, after)].map(
								(text) => el('td', { class: 'number' }, text),
							),
							el('td', {}, trace.trust),
							el('td', {}, trace.kernel),
							el(
								'td',
								{},
								Object.entries(trace.labels ?? {})
									.map(([key, text]) => `${key}: ${text}`)
									.join(', '),
							),
						),
					),
				),
			),
		),
	);
}

function traceTable(context) {
	const { data, local, drawn, printing, baseline, policy } = context;
	const labels = [...new Set(data.traces.flatMap((trace) => Object.keys(trace.labels ?? {})))].sort();
	const short = (number) => (number === null ? '' : rated(number));
	const columns = [
		{
			title: 'trace',
			of: ({ trace }) => String(trace.name),
			text: true,
			wide: true,
			element: ({ trace }) => link(data, trace),
		},
		{ title: 'kernel', of: ({ trace }) => String(trace.kernel), text: true },
		{ title: 'trust', of: ({ trace }) => String(trace.trust), text: true },
		...labels.map((label) => ({ title: label, of: ({ trace }) => labelOf(trace, label), text: true })),
		{ title: 'seconds', of: ({ trace }) => trace.duration_ns, shows: seconds },
		...data.policies.map((_, i) => ({
			title: policyName(data, i),
			of: ({ number }) => rate(data, context, number, i),
			shows: short,
		})),
		{
			title: `${policyName(data, policy)} against ${policyName(data, baseline)}`,
			of: ({ number }) =>
				(rate(data, context, number, policy) ?? 0) -
				(rate(data, context, number, baseline) ?? 0),
			shows: (_, { number }) => {
				const [a, b] = [baseline, policy].map((one) => rate(data, context, number, one));
				return a === null || b === null ? '' : change(a, b);
			},
		},
	];
	const rows = data.traces.map((trace, number) => ({
		trace,
		number,
		text: [
			trace.name,
			trace.kernel,
			trace.arch,
			trace.trust,
			trace.digest,
			...Object.entries(trace.labels ?? {}).flat(),
		]
			.join(' ')
			.toLowerCase(),
	}));
	const shown = new Table(columns, 'all traces'),
		count = el('span', { class: 'count', role: 'status' });
	const refresh = () => {
		const words = (local.search ?? '').toLowerCase().split(/\s+/).filter(Boolean);
		shown.take(rows.filter((row) => words.every((one) => row.text.includes(one))));
		count.textContent = `${digits(shown.shown.length)} of ${digits(rows.length)} traces`;
	};
	printing(
		() => shown.paint(true),
		() => shown.paint(),
	);
	drawn(refresh);
	return section(
		'traces',
		`All traces: ${unit(data, context)}`,
		'A click on a head sorts; a second one turns it round.',
		el(
			'div',
			{ class: 'tools' },
			searchBox(local.search ?? '', 'name, kernel, label', (text) => {
				local.search = text;
				refresh();
			}),
			count,
		),
		shown.element,
	);
}

function glossary({ data }) {
	return section(
		'counters',
		'What the counters count',
		null,
		el(
			'dl',
			{},
			data.counters
				.filter((key) => data.meanings[key])
				.flatMap((key) => [el('dt', {}, word(data, key)), el('dd', {}, data.meanings[key])]),
		),
	);
}

export const FLEET_SECTIONS = [together, spread, worst, traceTable, glossary];

export function fleetTools(data, state, redraw) {
	const names = data.policies.map((_, i) => [i, policyName(data, i)]);
	const set = (key, number) => (chosen) => {
		state[key] = number ? Number(chosen) : chosen;
		redraw();
	};
	return [
		choice(
			'counter',
			data.counters.map((key) => [key, word(data, key)]),
			state.counter,
			set('counter'),
		),
		choice(
			'per',
			Object.keys(RATES).map((key) => [key, key]),
			state.per,
			set('per'),
		),
		data.policies.length > 1 && choice('policy', names, state.policy, set('policy', true)),
		data.policies.length > 1 && choice('against', names, state.baseline, set('baseline', true)),
	];
}
