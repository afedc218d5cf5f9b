// SPDX-License-Identifier: MIT
// What was counted from one moment to the next: a line for each policy. The pointer, or the arrow keys, read it; a part
// that is drawn over is enlarged.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { choice, digits, el, figure, looks, section, seconds } from './dom.js';
import { policyNames, word } from './report.js';

const FEW = 6;
const DASHES = [[], [6, 4], [2, 3]];

function colour(policy) {
	return looks(`--line-${policy % 8}`);
}

function dash(policy) {
	return DASHES[Math.floor(policy / 8) % DASHES.length];
}

// Phases that the program marked, as shades behind the lines.
function shades(report) {
	return (plot) => {
		const { left, top, width, height } = plot.bbox;
		plot.ctx.save();
		plot.ctx.beginPath();
		plot.ctx.rect(left, top, width, height);
		plot.ctx.clip();
		plot.ctx.fillStyle = looks('--shade');
		for (const window of report.windows) {
			const from = plot.valToPos(window.begin_ns / 1e9, 'x', true);
			plot.ctx.fillRect(
				from,
				top,
				Math.max(plot.valToPos(window.end_ns / 1e9, 'x', true) - from, 1),
				height,
			);
		}
		plot.ctx.restore();
	};
}

function axis(more) {
	return {
		stroke: looks('--muted'),
		font: `12px ${looks('--font')}`,
		ticks: { show: false },
		grid: { stroke: looks('--grid'), width: 1 },
		...more,
	};
}

function draw(host, report, intervals, counter, shown, read) {
	const lines = intervals.series[counter],
		names = policyNames(report);
	// The last interval has an end, too.
	const moments = [...lines[0], 0].map((_, i) => (i * intervals.interval_ns) / 1e9);
	return new uPlot(
		{
			width: host.clientWidth || 1000,
			height: 260,
			legend: { show: false },
			scales: { x: { time: false }, y: { range: (_, low, high) => [0, (high || 1) * 1.06] } },
			axes: [
				axis({
					values: (_, values) => values.map((value) => `${digits(value)} s`),
					space: 80,
				}),
				axis({ values: (_, values) => values.map(digits), size: 64 }),
			],
			series: [
				{},
				...names.map((name, policy) => ({
					label: name,
					show: shown.has(policy),
					stroke: colour(policy),
					width: 1.5,
					dash: dash(policy),
					points: { show: false },
					paths: uPlot.paths.stepped({ align: 1 }),
				})),
			],
			cursor: { y: false, points: { size: 6 } },
			hooks: { drawClear: [shades(report)], setCursor: [(plot) => read(plot.cursor.idx)] },
		},
		[moments, ...lines.map((line) => [...line, line.at(-1)])],
		host,
	);
}

// A button for each policy: shows and hides its line, and says its number at the moment that is pointed at.
function legend(names, shown, changed) {
	const readings = names.map(() => el('span', { class: 'reading' }));
	const keys = names.map((name, policy) => {
		const mark = el('span', { class: 'swatch line' });
		mark.style.background = colour(policy);
		return el(
			'button',
			{
				type: 'button',
				class: 'key',
				'aria-pressed': String(shown.has(policy)),
				click: (event) => {
					const on = !shown.has(policy);
					if (on) shown.add(policy);
					else shown.delete(policy);
					event.currentTarget.setAttribute('aria-pressed', String(on));
					changed(policy, on);
				},
			},
			mark,
			name,
			readings[policy],
		);
	});
	return { element: el('div', { class: 'keys' }, keys), readings };
}

function chart(context, intervals, counter) {
	const { report, local, baseline, drawn } = context;
	const names = policyNames(report);
	local.shown ??= new Set(names.length <= FEW ? names.keys() : [baseline, names.length - 1]);
	const host = el('div', {
		class: 'timeline',
		tabindex: '0',
		role: 'img',
		'aria-label': `${counter} from moment to moment; arrow keys move`,
	});
	const moment = el('span', { class: 'reading moment' });
	const { element, readings } = legend(names, local.shown, (policy, on) =>
		plot?.setSeries(policy + 1, { show: on }),
	);
	const read = (index) => {
		moment.textContent =
			index === null || index === undefined ? '' : `at ${seconds(index * intervals.interval_ns)}`;
		readings.forEach((reading, policy) => {
			reading.textContent = moment.textContent
				? digits(intervals.series[counter][policy][index] ?? 0)
				: '';
		});
	};
	let plot = null,
		at = -1;
	host.addEventListener('keydown', (event) => {
		const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
		if (!step || !plot) return;
		event.preventDefault();
		at = Math.min(Math.max(at + step, 0), plot.data[0].length - 2);
		plot.setCursor({ left: plot.valToPos(plot.data[0][at], 'x'), top: 10 });
	});
	// Its size is that of its place, which has one once it is in the page.
	drawn(() => {
		plot = draw(host, report, intervals, counter, local.shown, read);
		new ResizeObserver(() => {
			if (host.clientWidth && host.clientWidth !== plot.width)
				plot.setSize({ width: host.clientWidth, height: 260 });
		}).observe(host);
	});
	return figure(`${counter} over time`, host, element, moment);
}

export function timeline(context) {
	const { data, report, counter, local, redraw } = context;
	const usable = report.intervals.filter((intervals) => Object.keys(intervals.series).length);
	if (!usable.length)
		return section(
			'timeline',
			'When',
			'The report has no series: refold replay --interval 100ms -o makes them.',
		);
	const intervals = usable[local.trace ?? 0] ?? usable[0],
		has = Object.keys(intervals.series);
	const shown = has.includes(local.counter ?? counter)
		? (local.counter ?? counter)
		: has.includes('tlbi')
			? 'tlbi'
			: has[0];
	const set = (key) => (chosen) => {
		local[key] = chosen;
		redraw();
	};
	return section(
		'timeline',
		`When: ${word(data, shown)} in each ${digits(intervals.interval_ns / 1e6)} ms`,
		'Draw over a part to enlarge it; a double click shows all. ' +
			(report.windows.length ? 'Shades are the phases that the program marked.' : '') +
			(intervals.merged > 1 ? ` Each is ${digits(intervals.merged)} intervals of the report.` : ''),
		el(
			'div',
			{ class: 'tools' },
			choice(
				'counter',
				has.map((name) => [name, word(data, name)]),
				shown,
				set('counter'),
			),
			usable.length > 1 &&
				choice(
					'trace',
					usable.map((one, i) => [i, one.trace]),
					local.trace ?? 0,
					set('trace'),
				),
		),
		chart(context, intervals, shown),
	);
}
