// SPDX-License-Identifier: MIT
// Causes, or windows, by policy: a field of numbers, the darker the more; or what is more and less than the baseline.
import * as Plot from '@observablehq/plot';
import { brief, change, digits, el, figure, section, shortened, toggle, widest } from './dom.js';
import { policyNames, value, word } from './report.js';

const MOST_ROWS = 40,
	MOST_NAME = 26,
	ROW = 24,
	WIDTH = 1080,
	TURN = (38 * Math.PI) / 180;

function cells(rows, nr, counter, baseline) {
	return rows.flatMap((row, y) =>
		Array.from({ length: nr }, (_, policy) => {
			const number = value(row.counts, counter, policy),
				base = value(row.counts, counter, baseline);
			return { y, name: row.name, policy, number, base, difference: number - base };
		}),
	);
}

// What the names above the columns need of room, level or turned.
function headRoom(names, column) {
	const longest = widest(names.map((name) => shortened(name, MOST_NAME))),
		turned = longest > column - 8;
	return {
		turned,
		top: turned ? longest * Math.sin(TURN) + 22 : 26,
		right: turned ? Math.max(longest * Math.cos(TURN) - column / 2 + 10, 8) : 8,
	};
}

function label(cell, shows, wide) {
	if (shows === 'counts') return cell.number ? (wide ? digits(cell.number) : brief(cell.number)) : '';
	return cell.difference ? `${cell.difference > 0 ? '+' : '−'}${brief(Math.abs(cell.difference))}` : '';
}

function field(data, report, rows, { counter, baseline, shows }) {
	const names = policyNames(report),
		left = widest(rows.map((row) => shortened(row.name, MOST_NAME))) + 14;
	const guess = headRoom(names, Math.min((WIDTH - left) / names.length, 170));
	const column = Math.min(Math.max((WIDTH - left - guess.right) / names.length, 15), 170);
	const { turned, top, right } = headRoom(names, column),
		width = left + right + column * names.length;
	const all = cells(rows, names.length, counter, baseline);
	const size = (cell) => Math.abs(shows === 'counts' ? cell.number : cell.difference);
	const most = Math.max(...all.map(size), 1);
	const strength = (cell) => (size(cell) ? 0.08 + 0.84 * Math.sqrt(size(cell) / most) : 0);
	return Plot.plot({
		width,
		height: ROW * rows.length + top + 4,
		marginLeft: left,
		marginTop: top,
		marginBottom: 4,
		marginRight: right,
		x: {
			domain: names.map((_, policy) => policy),
			axis: 'top',
			label: null,
			tickSize: 0,
			padding: 0.04,
			tickRotate: turned ? -38 : 0,
			tickFormat: (policy) => shortened(names[policy], MOST_NAME),
		},
		y: {
			domain: rows.map((_, y) => y),
			label: null,
			tickSize: 0,
			padding: 0.06,
			tickFormat: (y) => shortened(rows[y].name, MOST_NAME),
		},
		color: { type: 'identity' },
		opacity: { type: 'identity' },
		marks: [
			Plot.cell(all, { x: 'policy', y: 'y', fill: 'var(--field)', rx: 2 }),
			Plot.cell(all, {
				x: 'policy',
				y: 'y',
				rx: 2,
				fillOpacity: strength,
				fill: (cell) =>
					shows === 'counts'
						? 'var(--heat)'
						: cell.difference > 0
							? 'var(--more)'
							: 'var(--less)',
				title: (cell) =>
					`${cell.name}, ${names[cell.policy]}\n${word(data, counter)}: ${digits(cell.number)}` +
					(cell.policy === baseline ? '' : ` (${change(cell.base, cell.number)})`),
			}),
			column < 34
				? null
				: Plot.text(all, {
						x: 'policy',
						y: 'y',
						text: (cell) => label(cell, shows, column > 90),
						fill: (cell) =>
							strength(cell) > 0.55 ? 'var(--on-heat)' : 'var(--text)',
					}),
		],
	});
}

// The rows that count most; the table has all.
function leading(rows, counter, baseline) {
	const weight = (row) => Math.max(...(row.counts[counter] ?? [0]));
	const counting = rows.filter(weight);
	const shown = [...counting].sort((a, b) => weight(b) - weight(a)).slice(0, MOST_ROWS);
	return { shown, more: counting.length - shown.length };
}

function heat(id, title, note, rows, context, inOrder) {
	const { data, report, counter, redraw, local } = context;
	const shows = local.shows ?? 'counts';
	const { shown, more } = leading(rows, counter);
	if (!shown.length) return section(id, title, `${word(data, counter)}: nothing was counted.`);
	const ordered = inOrder ? rows.filter((row) => shown.includes(row)) : shown;
	return section(
		id,
		title,
		note,
		el(
			'div',
			{ class: 'tools' },
			report.policies.length > 1 &&
				toggle(
					'What the fields show',
					[
						['counts', 'counts'],
						['difference', 'difference to the baseline'],
					],
					shows,
					(chosen) => {
						local.shows = chosen;
						redraw();
					},
				),
		),
		figure(title, field(data, report, ordered, { ...context, shows })),
		more > 0 && el('p', { class: 'note' }, `${digits(more)} more are in the table below.`),
	);
}

export function causes(context) {
	const { data, report, counter } = context;
	const rows = Object.entries(report.operations).map(([name, counts]) => ({ name, counts }));
	return heat(
		'causes',
		`Where it comes from: ${word(data, counter)}`,
		'Each row is an operation of core mm, each column a policy.',
		rows,
		context,
		false,
	);
}

export function windows(context) {
	const { report } = context;
	if (!report.windows.length) return null;
	const rows = report.windows.map((window) => ({
		name: `${window.label} ${window.occurrence}`,
		counts: window.counts,
	}));
	return heat(
		'windows',
		`Phases that the program marked: ${word(context.data, context.counter)}`,
		'In the order in which they began.',
		rows,
		context,
		true,
	);
}
