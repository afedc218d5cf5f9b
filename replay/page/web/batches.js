// SPDX-License-Identifier: MIT
// How many entries each call of a helper covered: a histogram for each helper, of one policy beside the baseline.
import * as Plot from '@observablehq/plot';
import { brief, choice, digits, el, figure, section, toggle } from './dom.js';
import { policyNames } from './report.js';

const BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const bucketName = (from) => (from === 1 ? '1' : from === 512 ? '512+' : `${from}–${2 * from - 1}`);

function histogram(batch, shows) {
	const sums = new Map();
	for (const [size, calls] of batch ?? []) {
		const from = BUCKETS.findLast((bucket) => bucket <= size) ?? 1;
		sums.set(from, (sums.get(from) ?? 0) + calls * (shows === 'entries' ? size : 1));
	}
	return sums;
}

function chart(sides, shows) {
	const used = BUCKETS.filter((from) => sides.some(({ sums }) => sums.get(from)));
	const reach = BUCKETS.slice(0, Math.max(BUCKETS.indexOf(used.at(-1)) + 1, 5));
	const rows = sides.flatMap(({ name, sums, fill }, side) =>
		reach.map((from) => ({ from, side, name, fill, number: sums.get(from) ?? 0 })),
	);
	return Plot.plot({
		width: 520,
		height: 150,
		marginLeft: 44,
		marginBottom: 22,
		marginTop: 14,
		marginRight: 4,
		fx: { domain: reach, label: null, padding: 0.18, tickSize: 0, tickFormat: bucketName },
		x: { axis: null, domain: sides.map((_, side) => side), padding: 0.08 },
		y: { label: null, ticks: 3, tickSize: 0, tickFormat: brief, grid: true },
		color: { type: 'identity' },
		marks: [
			Plot.barY(rows, {
				fx: 'from',
				x: 'side',
				y: 'number',
				fill: 'fill',
				title: (row) =>
					`${row.name}\n${bucketName(row.from)} entries a call: ${digits(row.number)} ${shows}`,
			}),
			Plot.ruleY([0], { stroke: 'var(--line)' }),
		],
	});
}

export function batches({ data, report, baseline, local, redraw }) {
	const names = policyNames(report);
	const policy = local.policy ?? names.length - 1,
		shows = local.shows ?? 'entries';
	const sides = [{ policy: baseline, fill: 'var(--quiet)' }];
	if (policy !== baseline) sides.push({ policy, fill: 'var(--accent)' });
	const helpers = Object.keys(report.policies[baseline].batches ?? {}).filter((helper) =>
		sides.some((side) => report.policies[side.policy].batches[helper]?.length),
	);
	const set = (key) => (chosen) => {
		local[key] = key === 'policy' ? Number(chosen) : chosen;
		redraw();
	};
	return section(
		'batches',
		'How much a call of a helper covers',
		'Entries that one call reads or writes; 512 stands for 512 and more.',
		el(
			'div',
			{ class: 'tools' },
			choice(
				'policy',
				names.map((name, i) => [i, name]),
				policy,
				set('policy'),
			),
			toggle(
				'Bars show',
				[
					['entries', 'entries'],
					['calls', 'calls'],
				],
				shows,
				set('shows'),
			),
			el(
				'span',
				{ class: 'legend' },
				sides.map((side) =>
					el('span', { class: 'key' }, swatch(side.fill), names[side.policy]),
				),
			),
		),
		el(
			'div',
			{ class: 'grid' },
			helpers.map((helper) =>
				el(
					'div',
					{ class: 'cell' },
					el('h3', {}, helper),
					figure(
						`${shows} by size of a call of ${helper}`,
						chart(
							sides.map((side) => ({
								name: names[side.policy],
								fill: side.fill,
								sums: histogram(
									report.policies[side.policy].batches[helper],
									shows,
								),
							})),
							shows,
						),
					),
				),
			),
		),
	);
}

export function swatch(fill) {
	const mark = el('span', { class: 'swatch' });
	mark.style.background = fill;
	return mark;
}
