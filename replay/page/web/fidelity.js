// SPDX-License-Identifier: MIT
// How good the replay is, and what it takes for granted.
import { digits, el, head, section, seconds } from './dom.js';
import { policyNames } from './report.js';

const share = (part, all) =>
	all
		? `${digits(part)} of ${digits(all)} (${(Math.floor((10000 * part) / all) / 100).toFixed(
				part === all ? 0 : 2,
			)} %)`
		: 'none to compare';

function pairs(list) {
	return el(
		'dl',
		{},
		list
			.filter(([, text]) => text !== '')
			.flatMap(([name, text]) => [el('dt', {}, name), el('dd', {}, String(text))]),
	);
}

function counted(counts) {
	return Object.entries(counts ?? {})
		.filter(([, number]) => number)
		.map(([name, number]) => `${name.replaceAll('_', ' ')} ${digits(number)}`)
		.join(', ');
}

function checks(fidelity, trace) {
	return pairs([
		['entries rebuilt', share(fidelity.present, fidelity.ptes)],
		['with the right page', share(fidelity.pfn, fidelity.ptes)],
		['in the right folio', share(fidelity.order, fidelity.ptes)],
		['entries too many', digits(fidelity.extra ?? 0)],
		[
			'fault checks',
			`${digits(fidelity.fault_checks_ok ?? 0)} agree, ${digits(fidelity.fault_checks_bad ?? 0)} do not`,
		],
		[
			'checks of RSS',
			`${digits(fidelity.rss_checks_ok ?? 0)} agree, ${digits(fidelity.rss_checks_bad ?? 0)} do not`,
		],
		['processes compared', digits(fidelity.processes_compared ?? 0)],
		['events lost', digits(trace.lost_events ?? 0)],
		['events not offered', (trace.missing_events ?? []).join(', ')],
		['inferred', counted(fidelity.inferred)],
		['contradictions', counted(fidelity.anomalies)],
	]);
}

// Reasons of the trust, in sentences.
function reasons(data, counts, of) {
	return el(
		'ul',
		{},
		Object.entries(counts).map(([reason, number]) =>
			el(
				'li',
				{},
				`${data.reasons[reason] ?? reason.replaceAll('_', ' ')} (${digits(number)}${of})`,
			),
		),
	);
}

function marks(data, trust) {
	const doubts = trust.doubts ?? {},
		marked = trust.marked ?? [],
		hidden = trust.hidden ?? [];
	return [
		Object.keys(doubts).length > 0 && el('h3', {}, 'Doubts, which may concern any process'),
		Object.keys(doubts).length > 0 && reasons(data, doubts, ' times'),
		marked.length > 0 && el('h3', {}, 'Why address spaces are marked'),
		marked.length > 0 && reasons(data, trust.reasons ?? {}, ' of them'),
		marked.length > 0 &&
			el(
				'details',
				{},
				el('summary', {}, `${digits(marked.length)} marked address spaces`),
				el(
					'ul',
					{},
					marked
						.slice(0, 200)
						.map((mm) =>
							el(
								'li',
								{},
								`${mm.command} (${mm.pid}) since ` +
									`${seconds(mm.since_ns)}: ${(mm.reasons ?? []).map((one) => one.reason.replaceAll('_', ' ')).join(', ')}`,
							),
						),
				),
			),
		hidden.length > 0 &&
			el(
				'details',
				{},
				el('summary', {}, `${digits(hidden.length)} hidden processes`),
				el(
					'ul',
					{},
					hidden
						.slice(0, 200)
						.map((one) => el('li', {}, `${one.command || '?'} (${one.pid})`)),
				),
			),
	];
}

// What several policies take for granted is told once.
function assumptions(report) {
	const all = new Map(),
		names = policyNames(report);
	report.policies.forEach((policy, i) =>
		(policy.assumptions ?? []).forEach(({ text, count }) => {
			const sentence = count ? `${text} (${digits(count)} times)` : text;
			all.set(sentence, [...(all.get(sentence) ?? []), names[i]]);
		}),
	);
	if (!all.size) return el('p', {}, 'None beyond the model itself.');
	return el(
		'ul',
		{},
		[...all].map(([text, of]) =>
			el(
				'li',
				{},
				text,
				of.length < names.length && el('span', { class: 'quiet' }, ` — ${of.join(', ')}`),
			),
		),
	);
}

function exposure(report) {
	return (report.exposure ?? []).map(({ policy, against, knobs }) => {
		const rows = Object.entries(knobs ?? {}).sort(
			([, a], [, b]) => (b.could_matter ?? 0) - (a.could_matter ?? 0),
		);
		return el(
			'details',
			{},
			el('summary', {}, `${policy} against ${against}: ${digits(rows.length)} knobs differ`),
			el(
				'table',
				{ class: 'plain' },
				head(['knob', against, policy, 'what it met here']),
				el(
					'tbody',
					{},
					rows.map(([knob, one]) =>
						el(
							'tr',
							{},
							el('td', {}, knob),
							el('td', {}, String(one.a)),
							el('td', {}, String(one.b)),
							el('td', {}, one.exposure ?? 'not known'),
						),
					),
				),
			),
		);
	});
}

export function fidelity({ data, report }) {
	const used = Object.keys(report.totals)
		.filter((counter) => data.meanings[counter])
		.sort();
	return section(
		'fidelity',
		'How good the replay is',
		null,
		el(
			'div',
			{ class: 'grid' },
			el(
				'div',
				{ class: 'cell' },
				el('h3', {}, 'What could be checked'),
				checks(report.fidelity ?? {}, report.trace ?? {}),
				...marks(data, report.trust ?? {}),
			),
			el('div', { class: 'cell' }, el('h3', {}, 'What is taken for granted'), assumptions(report)),
		),
		report.exposure?.length > 0 &&
			el('h3', {}, 'In what the policies differ, and whether it could matter here'),
		...exposure(report),
		el(
			'details',
			{},
			el('summary', {}, 'What the counters count'),
			pairs(used.map((counter) => [counter, data.meanings[counter]])),
		),
	);
}
