// SPDX-License-Identifier: MIT
// How a counter spreads over traces: a box for each policy, and the traces as dots where they are few; in groups of
// traces with one label.
import * as Plot from '@observablehq/plot';
import { brief, choice, digits, el, figure, head, section, shortened, toggle, widest } from './dom.js';
import { labelOf, policyName, rate, unit } from './traces.js';

const FEW = 60,
	MOST_GROUPS = 12,
	NONE = '(none)';

function points(context, shows, label) {
	const { data, baseline } = context;
	return data.traces.flatMap((trace, i) =>
		data.policies.flatMap((_, policy) => {
			const after = rate(data, context, i, policy),
				before = rate(data, context, i, baseline);
			if (after === null || (shows === 'change' && (policy === baseline || !before))) return [];
			return [
				{
					policy,
					name: String(trace.name),
					group: label ? labelOf(trace, label) || NONE : '',
					number: shows === 'change' ? ((after - before) * 100) / before : after,
				},
			];
		}),
	);
}

// The groups of most traces; the others are one.
function grouped(all) {
	const sizes = new Map();
	for (const point of all) sizes.set(point.group, (sizes.get(point.group) ?? 0) + 1);
	const names = [...sizes.keys()].sort((a, b) => sizes.get(b) - sizes.get(a) || a.localeCompare(b));
	const kept = names.slice(0, names.length > MOST_GROUPS ? MOST_GROUPS - 1 : MOST_GROUPS);
	const rest = `${names.length - kept.length} others`;
	const points = all.map((point) => (kept.includes(point.group) ? point : { ...point, group: rest }));
	return {
		points,
		names: kept
			.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
			.concat(kept.length < names.length ? [rest] : []),
	};
}

function chart(context, all, groups, shows, scale) {
	const { data } = context;
	const names = data.policies.map((_, i) => policyName(data, i)),
		used = [...new Set(all.map(({ policy }) => policy))].sort((a, b) => a - b);
	const left = widest(names.map((name) => shortened(name, 28))) + 12,
		group = groups.length > 1;
	const right = group ? widest(groups.map((name) => shortened(name, 24))) + 24 : 28;
	const text = (number) =>
		shows === 'change'
			? `${number > 0 ? '+' : ''}${digits(Number(number.toPrecision(3)))} %`.replace('-', '−')
			: digits(Number(number.toPrecision(4)));
	const few = all.length <= FEW * used.length;
	return Plot.plot({
		width: 1080,
		height: 26 * used.length * groups.length + (group ? 8 * groups.length : 0) + 44,
		marginLeft: left,
		marginRight: right,
		marginBottom: 26,
		marginTop: 18,
		x: {
			type: scale === 'log' ? 'log' : 'linear',
			grid: true,
			label: null,
			tickSize: 0,
			ticks: scale === 'log' ? 5 : 8,
			tickFormat: (number) =>
				shows === 'change' ? `${brief(number)} %`.replace('-', '−') : brief(number),
			...(shows === 'change' || scale === 'log' ? { nice: true } : { zero: true, nice: true }),
		},
		y: {
			domain: used,
			label: null,
			tickSize: 0,
			tickFormat: (policy) => shortened(names[policy], 28),
			padding: 0.3,
		},
		fy: {
			domain: groups,
			label: null,
			axis: group ? 'right' : null,
			padding: 0.08,
			tickFormat: (name) => shortened(name, 24),
		},
		marks: [
			shows === 'change' ? Plot.ruleX([0], { stroke: 'var(--muted)' }) : null,
			Plot.boxX(all, {
				x: 'number',
				y: 'policy',
				fy: group ? 'group' : undefined,
				fill: 'var(--box)',
				stroke: 'var(--accent)',
				strokeWidth: 1.5,
				r: few ? 0 : 1.8,
			}),
			few
				? Plot.dot(all, {
						x: 'number',
						y: 'policy',
						fy: group ? 'group' : undefined,
						r: 2.4,
						fill: 'var(--text)',
						fillOpacity: 0.55,
						title: (point) =>
							`${point.name}\n${names[point.policy]}: ${text(point.number)}`,
					})
				: null,
		],
	});
}

const median = (list) => {
	const sorted = [...list].sort((a, b) => a - b),
		middle = sorted.length >> 1;
	return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

// The same as numbers.
function medians(context, all, groups, shows) {
	const { data } = context;
	const used = [...new Set(all.map(({ policy }) => policy))].sort((a, b) => a - b);
	return el(
		'details',
		{},
		el('summary', {}, 'Medians as numbers'),
		el(
			'div',
			{ class: 'chart' },
			el(
				'table',
				{ class: 'plain' },
				head(['policy', ...groups.map((name) => name || 'all traces')], (i) => i > 0),
				el(
					'tbody',
					{},
					used.map((policy) =>
						el(
							'tr',
							{},
							el('td', {}, policyName(data, policy)),
							groups.map((group) => {
								const numbers = all
									.filter(
										(point) =>
											point.policy === policy &&
											point.group === group,
									)
									.map(({ number }) => number);
								return el(
									'td',
									{ class: 'number' },
									numbers.length
										? `${digits(Number(median(numbers).toPrecision(4)))}${shows === 'change' ? ' %' : ''} (${digits(numbers.length)})`
										: '',
								);
							}),
						),
					),
				),
			),
		),
	);
}

export function spread(context) {
	const { data, local, redraw, baseline } = context;
	const labels = [...new Set(data.traces.flatMap((trace) => Object.keys(trace.labels ?? {})))].sort();
	const facts = ['kernel', 'arch', 'cpus', 'trust'].filter((fact) => !labels.includes(fact));
	const shows = data.policies.length > 1 ? (local.shows ?? 'rate') : 'rate',
		label = local.label ?? '';
	const scale = shows === 'change' ? 'linear' : (local.scale ?? 'linear');
	const { points: all, names: groups } = grouped(points(context, shows, label));
	const drawable = scale === 'log' ? all.filter(({ number }) => number > 0) : all;
	const set = (key) => (chosen) => {
		local[key] = chosen;
		redraw();
	};
	const title = `How it spreads: ${unit(data, context)}`;
	const tools = el(
		'div',
		{ class: 'tools' },
		data.policies.length > 1 &&
			toggle(
				'Boxes show',
				[
					['rate', 'rate'],
					['change', `change against ${policyName(data, baseline)}`],
				],
				shows,
				set('shows'),
			),
		shows === 'rate' &&
			toggle(
				'Scale',
				[
					['linear', 'linear'],
					['log', 'log'],
				],
				scale,
				set('scale'),
			),
		choice(
			'by',
			[['', 'all together'], ...labels.map((key) => [key, key]), ...facts.map((key) => [key, key])],
			label,
			set('label'),
		),
	);
	if (!drawable.length)
		return section(
			'spread',
			title,
			'There is nothing to show: nothing was counted, or of one policy only.',
			tools,
		);
	return section(
		'spread',
		title,
		'Boxes are the middle half of the traces, with the median; whiskers reach 1.5 times as far, ' +
			'and dots are traces' +
			(all.length > drawable.length
				? `; ${digits(all.length - drawable.length)} of 0 are not on a log scale.`
				: '.'),
		tools,
		figure(title, chart(context, drawable, groups, shows, scale)),
		medians(context, all, groups, shows),
	);
}
