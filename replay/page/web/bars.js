// SPDX-License-Identifier: MIT
// Bars a policy: a small chart for each counter that matters, and the one that was chosen.
import * as Plot from '@observablehq/plot';
import { change, digits, el, figure, section, shortened, widest } from './dom.js';
import { cost, policyNames, value, word } from './report.js';

const ROW = 22;

function tone(data, counter, before, after) {
	const difference = Math.sign(after - before) * cost(data, counter);
	return difference > 0 ? 'var(--worse)' : difference < 0 ? 'var(--better)' : 'var(--muted)';
}

function barsOf(data, report, counter, baseline) {
	const names = policyNames(report);
	const base = value(report.totals, counter, baseline);
	const rows = names.map((name, policy) => ({ name, policy, value: value(report.totals, counter, policy) }));
	const most = Math.max(...rows.map((row) => row.value), 1);
	const left = widest(names.map((name) => shortened(name, 28))) + 12,
		right = 144,
		width = 520;
	return Plot.plot({
		width,
		height: ROW * rows.length + 4,
		marginLeft: left,
		marginRight: right,
		marginTop: 2,
		marginBottom: 2,
		x: { axis: null, domain: [0, most] },
		y: {
			domain: rows.map((row) => row.policy),
			label: null,
			tickSize: 0,
			padding: 0.25,
			tickFormat: (policy) => shortened(names[policy], 28),
		},
		color: { type: 'identity' },
		marks: [
			Plot.barX(rows, {
				x: 'value',
				y: 'policy',
				rx: 1.5,
				fill: (row) => (row.policy === baseline ? 'var(--quiet)' : 'var(--accent)'),
				title: (row) => `${row.name}\n${word(data, counter)}: ${digits(row.value)}`,
			}),
			Plot.text(rows, {
				x: most,
				y: 'policy',
				dx: 76,
				textAnchor: 'end',
				fill: 'var(--text)',
				text: (row) => digits(row.value),
			}),
			Plot.text(
				rows.filter((row) => row.policy !== baseline),
				{
					x: most,
					y: 'policy',
					dx: right - 4,
					textAnchor: 'end',
					text: (row) => change(base, row.value),
					fill: (row) => tone(data, counter, base, row.value),
				},
			),
		],
	});
}

export function bars({ data, report, baseline, counter }) {
	const shown = data.matters.map((matter) => matter.key).filter((key) => report.totals[key]);
	if (!shown.includes(counter)) shown.unshift(counter);
	const note =
		report.policies.length > 1
			? `Changes are against ${policyNames(report)[baseline]}, whose bars are grey.`
			: null;
	return section(
		'policies',
		'What each policy costs',
		note,
		el(
			'div',
			{ class: 'grid' },
			shown.map((key) =>
				el(
					'div',
					{ class: 'cell' },
					el('h3', { title: data.meanings[key] ?? '' }, word(data, key)),
					figure(`${word(data, key)} by policy`, barsOf(data, report, key, baseline)),
				),
			),
		),
	);
}
