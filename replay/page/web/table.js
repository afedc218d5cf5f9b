// SPDX-License-Identifier: MIT
// Everything that was counted, as one table to sort and to search. Only rows in sight are in the document, so that
// tens of thousands scroll; a printed page has the first ones.
import { change, choice, digits, el, searchBox, section } from './dom.js';
import { parts, policyNames, value, word } from './report.js';

const ROW = 26,
	SPARE = 8,
	PRINTED = 100;
const KINDS = { total: 'total', cause: 'cause', window: 'phase', process: 'process' };

function allRows(data, report) {
	const matters = new Set(data.matters.map((matter) => matter.key));
	const rows = [];
	for (const { kind, name, counts } of parts(report))
		for (const counter of Object.keys(counts)) {
			const alike = counts[counter].every((number) => number === counts[counter][0]);
			rows.push({
				kind: KINDS[kind],
				name,
				counter,
				word: word(data, counter),
				matters: matters.has(counter),
				alike,
				counts,
				text: `${KINDS[kind]} ${name} ${counter} ${word(data, counter)}`.toLowerCase(),
			});
		}
	return rows;
}

// Every word must be somewhere in the row.
function found(rows, { search, kind, all, differing }) {
	const words = search.toLowerCase().split(/\s+/).filter(Boolean);
	return rows.filter(
		(row) =>
			(!kind || row.kind === kind) &&
			(all || words.length || row.matters) &&
			(!differing || !row.alike) &&
			words.every((one) => row.text.includes(one)),
	);
}

function columnsOf(report, baseline) {
	const names = policyNames(report),
		last = names.length - 1;
	const columns = [
		{ title: 'of', of: (row) => row.kind, text: true },
		{ title: 'name', of: (row) => row.name, text: true, wide: true },
		{ title: 'counter', of: (row) => row.word, text: true },
		...names.map((title, policy) => ({
			title,
			of: (row) => value(row.counts, row.counter, policy),
			shows: digits,
		})),
	];
	const against = baseline === last ? 0 : last;
	if (last > 0)
		columns.push({
			title: `${names[against]} against ${names[baseline]}`,
			of: (row) =>
				value(row.counts, row.counter, against) - value(row.counts, row.counter, baseline),
			shows: (difference, row) =>
				change(
					value(row.counts, row.counter, baseline),
					value(row.counts, row.counter, against),
				),
		});
	return columns;
}

function sorted(rows, column, down) {
	if (!column) return rows;
	const order = column.text
		? (a, b) => column.of(a).localeCompare(column.of(b), 'en', { numeric: true })
		: (a, b) => column.of(a) - column.of(b);
	return [...rows].sort((a, b) => (down ? order(b, a) : order(a, b)));
}

function line(columns, row, number) {
	return el(
		'tr',
		{ 'aria-rowindex': number + 2 },
		columns.map((column) => {
			const cell = column.of(row),
				shows = column.shows ? column.shows(cell, row) : cell;
			return el(
				'td',
				{
					class: column.text ? (column.wide ? 'name' : '') : 'number',
					title: column.wide ? cell : undefined,
				},
				column.element ? column.element(row) : String(shows),
			);
		}),
	);
}

// The table itself: head, and of the rows those in sight, between two rows that are as high as what is not.
export class Table {
	constructor(columns, label) {
		this.columns = columns;
		this.rows = this.shown = [];
		this.body = el('tbody');
		this.head = el(
			'tr',
			{ 'aria-rowindex': 1 },
			columns.map((column, i) =>
				el(
					'th',
					{ scope: 'col', class: column.text ? (column.wide ? 'name' : '') : 'number' },
					el(
						'button',
						{ type: 'button', click: () => this.sortBy(i), title: column.title },
						column.title,
					),
				),
			),
		);
		this.table = el(
			'table',
			{},
			el('caption', { class: 'unseen' }, label),
			el('thead', {}, this.head),
			this.body,
		);
		this.element = el(
			'div',
			{
				class: 'scroller',
				tabindex: '0',
				role: 'region',
				'aria-label': label,
				scroll: () => this.paint(),
			},
			this.table,
		);
		this.column = -1;
		this.down = false;
	}

	take(rows) {
		this.rows = rows;
		this.order();
	}

	sortBy(column) {
		this.down = this.column === column ? !this.down : !this.columns[column].text;
		this.column = column;
		this.order();
	}

	order() {
		this.shown = sorted(this.rows, this.columns[this.column], this.down);
		this.table.setAttribute('aria-rowcount', this.shown.length + 1);
		[...this.head.children].forEach((head, i) =>
			head.setAttribute(
				'aria-sort',
				i !== this.column ? 'none' : this.down ? 'descending' : 'ascending',
			),
		);
		this.element.scrollTop = 0;
		this.paint();
	}

	paint(printed) {
		const height = this.element.clientHeight || 480;
		const from = printed ? 0 : Math.max(Math.floor(this.element.scrollTop / ROW) - SPARE, 0);
		const to = Math.min(
			printed ? PRINTED : from + Math.ceil(height / ROW) + 2 * SPARE,
			this.shown.length,
		);
		const space = (rows) => {
			const filler = el(
				'tr',
				{ class: 'filler', 'aria-hidden': 'true' },
				el('td', { colspan: this.columns.length }),
			);
			filler.firstChild.style.height = `${rows * ROW}px`;
			return filler;
		};
		this.body.replaceChildren(
			space(from),
			...this.shown.slice(from, to).map((row, i) => line(this.columns, row, from + i)),
			space(printed ? 0 : this.shown.length - to),
		);
	}
}

export function table(context) {
	const { data, report, baseline, local, printing } = context;
	local.filter ??= { search: '', kind: '', all: false, differing: false };
	const rows = allRows(data, report),
		shown = new Table(columnsOf(report, baseline), 'all counts');
	const count = el('span', { class: 'count', role: 'status' });
	const refresh = () => {
		shown.take(found(rows, local.filter));
		count.textContent = `${digits(shown.shown.length)} of ${digits(rows.length)} rows`;
	};
	const set = (key) => (chosen) => {
		local.filter[key] = chosen;
		refresh();
	};
	const box = (key, text) =>
		el(
			'label',
			{ class: 'choice' },
			el('input', {
				type: 'checkbox',
				checked: local.filter[key],
				change: (event) => set(key)(event.target.checked),
			}),
			text,
		);
	const kinds = [...new Set(rows.map((row) => row.kind))];
	printing(
		() => shown.paint(true),
		() => shown.paint(),
	);
	context.drawn(refresh);
	const left = report.left_out ?? {};
	const missing = ['windows', 'processes']
		.filter((list) => left[list])
		.map((list) => `${digits(left[list])} ${list}`);
	return section(
		'table',
		'Everything counted',
		'A click on a head sorts; a second one turns it round. ' +
			(missing.length
				? `Too much for a page: ${missing.join(' and ')} more are in the report. `
				: '') +
			(left.counters ? 'Of windows and processes only counters that matter are here.' : ''),
		el(
			'div',
			{ class: 'tools' },
			searchBox(local.filter.search, 'words, as fork tlbi', set('search')),
			choice(
				'of',
				[['', 'everything'], ...kinds.map((kind) => [kind, kind])],
				local.filter.kind,
				set('kind'),
			),
			box('all', 'every counter'),
			report.policies.length > 1 && box('differing', 'only what differs'),
			count,
		),
		shown.element,
	);
}
