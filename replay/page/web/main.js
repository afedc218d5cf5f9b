// SPDX-License-Identifier: MIT
// The page: reads its data, draws every part, and draws again what a choice concerns.
import './page.css';
import { attribution } from './attribution.js';
import { bars } from './bars.js';
import { batches } from './batches.js';
import { choice, el } from './dom.js';
import { fidelity } from './fidelity.js';
import { FLEET_SECTIONS, fleetTools } from './fleet.js';
import { causes, windows } from './heatmap.js';
import { counterOptions, policyNames } from './report.js';
import { table } from './table.js';
import { timeline } from './timeline.js';
import { verdict } from './verdict.js';

const SECTIONS = [verdict, bars, causes, windows, batches, timeline, attribution, table, fidelity];

// What is to be done before and after the page is printed, by section.
const printers = new Map();

// Draw one part into its place, and again whenever it asks.
function place(make, context) {
	const host = el('div', { class: 'part' });
	const draw = () => {
		const afterwards = [];
		const made = make({
			...context(),
			redraw: draw,
			drawn: (task) => afterwards.push(task),
			printing: (before, after) => printers.set(make, { before, after }),
		});
		host.replaceChildren(...[made].flat().filter(Boolean));
		if (host.isConnected) afterwards.forEach((task) => task());
		else host.later = () => afterwards.forEach((task) => task());
	};
	host.draw = draw;
	draw();
	return host;
}

function reportParts(data, state) {
	const report = data.reports[state.report];
	const locals = new Map(SECTIONS.map((make) => [make, {}]));
	return SECTIONS.map((make) =>
		place(make, () => ({
			data,
			report,
			baseline: state.baseline,
			counter: state.counter,
			local: locals.get(make),
		})),
	);
}

function fleetParts(data, state) {
	const sections = data.counters.length ? FLEET_SECTIONS : FLEET_SECTIONS.slice(0, 1);
	const locals = new Map(sections.map((make) => [make, {}]));
	return sections.map((make) => place(make, () => ({ data, ...state, local: locals.get(make) })));
}

function reportTools(data, state, redraw, rebuild) {
	const report = data.reports[state.report];
	return [
		data.reports.length > 1 &&
			choice(
				'report',
				data.reports.map((one, i) => [i, one.name]),
				state.report,
				(chosen) => {
					state.report = Number(chosen);
					rebuild();
				},
			),
		choice('counter', counterOptions(data, report), state.counter, (chosen) => {
			state.counter = chosen;
			redraw();
		}),
		report.policies.length > 1 &&
			choice(
				'against',
				policyNames(report).map((name, i) => [i, name]),
				state.baseline,
				(chosen) => {
					state.baseline = Number(chosen);
					redraw();
				},
			),
	];
}

// ---- looks ----

// Of the system, until somebody presses the button.
function themeButton(redraw) {
	const system = matchMedia('(prefers-color-scheme: dark)'),
		root = document.documentElement;
	const button = el('button', {
		type: 'button',
		class: 'theme',
		id: 'theme',
		click: () => take(root.dataset.theme === 'dark' ? 'light' : 'dark'),
	});
	const take = (theme) => {
		root.dataset.theme = theme;
		button.textContent = theme === 'dark' ? 'light' : 'dark';
		redraw();
	};
	take(system.matches ? 'dark' : 'light');
	system.addEventListener('change', () => take(system.matches ? 'dark' : 'light'));
	return button;
}

// Paper is white, and has what a click would open.
function printable(redraw) {
	const root = document.documentElement;
	let theme;
	addEventListener('beforeprint', () => {
		theme = root.dataset.theme;
		root.dataset.theme = 'light';
		redraw();
		document.querySelectorAll('details').forEach((one) => {
			one.open = true;
		});
		printers.forEach(({ before }) => before());
	});
	addEventListener('afterprint', () => {
		root.dataset.theme = theme;
		redraw();
		printers.forEach(({ after }) => after());
	});
}

// ---- the frame ----

function contents(parts) {
	const links = parts
		.map((part) => part.querySelector('section'))
		.filter(Boolean)
		.map((one) => el('a', { href: `#${one.id}` }, one.id));
	return el('nav', { 'aria-label': 'Contents' }, links);
}

function show(data) {
	const state = {
		report: 0,
		baseline: 0,
		counter: 'tlbi',
		per: 'second',
		policy: (data.policies?.length ?? 1) - 1,
	};
	let parts = [];
	const redraw = () => parts.forEach((part) => part.draw());
	const header = el('header'),
		main = el('main', { id: 'main' }),
		theme = themeButton(redraw);
	const fill = () => {
		const many = data.kind === 'fleet',
			report = many ? null : data.reports[state.report];
		state.baseline = 0;
		if (report && !report.totals[state.counter])
			state.counter =
				counterOptions(data, report).flatMap(({ options }) => options)[0]?.[0] ?? 'tlbi';
		if (many && !data.counters.includes(state.counter)) state.counter = data.counters[0];
		printers.clear();
		parts = many ? fleetParts(data, state) : reportParts(data, state);
		document.title = `${many ? 'Many traces' : report.name} — Refold`;
		header.replaceChildren(
			el('a', { class: 'skip', href: '#main' }, 'to the content'),
			el(
				'div',
				{ class: 'bar' },
				el('h1', {}, 'Refold'),
				el(
					'span',
					{ class: 'of' },
					many ? 'many traces' : data.reports.length > 1 ? '' : report.name,
				),
				...(many
					? fleetTools(data, state, redraw)
					: reportTools(data, state, redraw, fill)
				).filter(Boolean),
				theme,
			),
			contents(parts),
		);
		main.replaceChildren(...parts);
		parts.forEach((part) => part.later?.());
	};
	document.body.append(
		header,
		main,
		el(
			'footer',
			{},
			`Made by refold ${data.version}, from counts of simulated page ` +
				'tables: no time follows from them that a program would take. This file fetches nothing and sends nothing.',
		),
	);
	fill();
	printable(redraw);
	addEventListener('keydown', (event) => {
		if (event.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '')) {
			event.preventDefault();
			document.getElementById('search')?.focus();
		}
	});
}

try {
	const began = performance.now();
	show(JSON.parse(document.getElementById('data').textContent));
	document.documentElement.dataset.drawn = Math.round(performance.now() - began);
} catch (error) {
	document.body.append(
		el('p', { class: 'alarm' }, `The data of this page are not as they should be: ${error.message}`),
	);
	throw error;
}
