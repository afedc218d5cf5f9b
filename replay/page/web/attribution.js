// SPDX-License-Identifier: MIT
// Whose counts they are: the dearest rows of a policy as bars, or as a flame graph where the rows are call stacks.
import flamegraph from 'd3-flame-graph';
import './node_modules/d3-flame-graph/dist/d3-flamegraph.css';
import { select } from 'd3-selection';
import { bytes, choice, digits, el, figure, section } from './dom.js';
import { policyNames, word } from './report.js';

const numberOf = (row, counter) => (counter === 'bytes' ? (row.bytes ?? 0) : (row.totals?.[counter] ?? 0));

// The functions of a stack, from the outermost in; what is no stack has a name.
function frames(row) {
	return row.frames?.length ? [...row.frames].reverse().map(String) : [String(row.stack)];
}

function rowName(row, by) {
	return by.map((key) => row[key]).join(', ');
}

// ---- bars ----

function bar(name, number, all, more) {
	const fill = el('span', { class: 'fill' });
	fill.style.width = `${all ? (100 * number) / all : 0}%`;
	return el(
		'li',
		{ class: more ? 'rest' : '' },
		el('span', { class: 'number' }, digits(number)),
		el('span', { class: 'share' }, all ? `${((100 * number) / all).toFixed(1)} %` : ''),
		el('span', { class: 'track' }, fill, el('span', { class: 'name', title: name }, name)),
	);
}

function barList(policy, by, counter) {
	const rows = [...policy.rows].sort((a, b) => numberOf(b, counter) - numberOf(a, counter));
	const rest = numberOf(policy.rest, counter);
	const all = rows.reduce((sum, row) => sum + numberOf(row, counter), rest);
	const others = policy.rest?.rows ? `${digits(policy.rest.rows)} more` : null;
	return el(
		'ol',
		{ class: 'bars' },
		rows.map((row) =>
			bar(
				rowName(row, by) + (row.bytes ? `: ${bytes(row.bytes)}` : ''),
				numberOf(row, counter),
				all,
			),
		),
		others && bar(others, rest, all, true),
	);
}

// ---- flames ----

function tree(policy, by, counter) {
	const root = { name: 'all', value: 0, children: new Map() };
	const add = (path, number) => {
		let node = root;
		node.value += number;
		for (const name of path) {
			if (!node.children.has(name))
				node.children.set(name, { name, value: 0, children: new Map() });
			node = node.children.get(name);
			node.value += number;
		}
	};
	for (const row of policy.rows)
		add(
			by.flatMap((key) => (key === 'stack' ? frames(row) : [String(row[key])])),
			numberOf(row, counter),
		);
	if (numberOf(policy.rest, counter))
		add([`${digits(policy.rest.rows ?? 0)} more`], numberOf(policy.rest, counter));
	const plain = (node) => ({
		...node,
		children: [...node.children.values()].filter((child) => child.value).map(plain),
	});
	return plain(root);
}

// A warm colour that is a function of the name, so that one function looks alike in all policies.
function warmth(name) {
	let sum = 0;
	for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 997;
	return `hsl(${18 + (sum % 32)} ${62 + (sum % 17)}% ${68 + (sum % 11)}%)`;
}

function flames(context, policy, by, counter) {
	const root = tree(policy, by, counter);
	const host = el('div', { class: 'flames' }),
		details = el('p', { class: 'reading', 'aria-live': 'polite' });
	const says = (node) =>
		`${node.data.name}: ${digits(node.data.value)} ${counter}, ` +
		`${((100 * node.data.value) / (root.value || 1)).toFixed(1)} %`;
	if (!root.value) return el('p', { class: 'note' }, `${counter}: nothing was counted.`);
	context.drawn(() => {
		const chart = flamegraph()
			.width(host.clientWidth || 1000)
			.cellHeight(19)
			.minFrameSize(2)
			.inverted(true)
			.transitionDuration(0)
			.sort(true)
			.tooltip(false)
			.setLabelHandler(says)
			.setColorMapper((node) => warmth(node.data.name))
			.setDetailsHandler((text) => {
				details.textContent = text ?? '';
			});
		select(host).datum(root).call(chart);
		for (const frame of host.querySelectorAll('.frame')) {
			frame.setAttribute('tabindex', '0');
			frame.addEventListener('keydown', (event) => {
				if (event.key === 'Enter')
					frame.dispatchEvent(new MouseEvent('click', { bubbles: true }));
			});
		}
	});
	return el('div', {}, host, details);
}

// ---- the section ----

export function attribution(context) {
	const { data, report, counter, local, redraw } = context;
	if (!report.attribution.length)
		return section(
			'attribution',
			'Whose',
			'The report does not say: refold replay --by vma,call -o makes it, or ' + 'another --by.',
		);
	const names = policyNames(report),
		chosen = report.attribution[local.by ?? 0] ?? report.attribution[0];
	const number = Math.min(local.policy ?? names.length - 1, chosen.policies.length - 1);
	const policy = chosen.policies[number];
	const has = [
		'bytes',
		...new Set([...policy.rows, policy.rest].flatMap((row) => Object.keys(row.totals ?? {}))),
	];
	const shown = has.includes(counter) ? counter : has.includes('tlbi') ? 'tlbi' : 'bytes';
	const set = (key) => (value) => {
		local[key] = Number(value);
		redraw();
	};
	const name = `${word(data, shown)} by ${chosen.by.join(', ')}`;
	return section(
		'attribution',
		`Whose: ${name}`,
		'The dearest rows of one policy, and all others as one: together they are its total.',
		el(
			'div',
			{ class: 'tools' },
			choice(
				'policy',
				names.map((one, i) => [i, one]),
				number,
				set('policy'),
			),
			report.attribution.length > 1 &&
				choice(
					'by',
					report.attribution.map((one, i) => [
						i,
						`${one.by.join(', ')}${report.traces.length > 1 ? ` of ${one.trace}` : ''}`,
					]),
					local.by ?? 0,
					set('by'),
				),
		),
		figure(
			name,
			chosen.by.includes('stack')
				? flames(context, policy, chosen.by, shown)
				: barList(policy, chosen.by, shown),
		),
	);
}
