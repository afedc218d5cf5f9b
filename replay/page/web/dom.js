// SPDX-License-Identifier: MIT
// Elements and numbers as text. Whatever a report says becomes a text node or an attribute of a known name, never HTML.

export function el(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (typeof value === 'function') element.addEventListener(key, value);
		else if (value === true) element.setAttribute(key, '');
		else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
	}
	element.append(
		...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
	);
	return element;
}

// options: [value, text] or {group, options}.
export function choice(label, options, value, changed) {
	const option = ([key, text]) => el('option', { value: key, selected: String(key) === String(value) }, text);
	const select = el(
		'select',
		{ 'aria-label': label, change: (event) => changed(event.target.value) },
		options.map((entry) =>
			entry.group
				? el('optgroup', { label: entry.group }, entry.options.map(option))
				: option(entry),
		),
	);
	return el('label', { class: 'choice' }, el('span', {}, label), select);
}

export function searchBox(value, placeholder, changed) {
	return el(
		'label',
		{ class: 'choice' },
		el('span', {}, 'search'),
		el('input', {
			type: 'search',
			id: 'search',
			value,
			placeholder,
			input: (event) => changed(event.target.value),
		}),
	);
}

// The first row of a table that does not sort. isNumber: of which columns.
export function head(names, isNumber = () => false) {
	return el(
		'thead',
		{},
		el(
			'tr',
			{},
			names.map((name, i) => el('th', { scope: 'col', class: isNumber(i) && 'number' }, name)),
		),
	);
}

// A switch of few words: one of them is pressed.
export function toggle(label, options, value, changed) {
	return el(
		'div',
		{ class: 'toggle', role: 'group', 'aria-label': label },
		options.map(([key, text]) =>
			el(
				'button',
				{ type: 'button', 'aria-pressed': String(key === value), click: () => changed(key) },
				text,
			),
		),
	);
}

export function section(id, title, note, ...content) {
	return el(
		'section',
		{ id, 'aria-labelledby': `${id}-title` },
		el('h2', { id: `${id}-title` }, title),
		note && el('p', { class: 'note' }, note),
		...content,
	);
}

// A chart with a name for who does not see it.
export function figure(name, chart, ...more) {
	const graphic = chart instanceof Element ? chart : null;
	if (graphic && graphic.tagName.toLowerCase() === 'svg') {
		graphic.setAttribute('role', 'img');
		graphic.setAttribute('aria-label', name);
	}
	return el('figure', { class: 'chart', 'data-chart': name }, chart, ...more);
}

// ---- numbers ----

export function digits(value) {
	return Number.isInteger(value)
		? value.toLocaleString('en-US')
		: value.toLocaleString('en-US', { maximumSignificantDigits: 4 });
}

// So many decimals that rates of one size have as many.
export function rated(value) {
	const size = Math.abs(value), places = size >= 1000 ? 0 : size >= 10 ? 1 : size >= 0.1 || !size ? 2 : 4;
	return value.toLocaleString('en-US', { minimumFractionDigits: places, maximumFractionDigits: places });
}

export function brief(value) {
	const magnitude = Math.abs(value);
	if (magnitude < 10000) return digits(Number.isInteger(value) ? value : Number(value.toPrecision(3)));
	const [unit, name] = magnitude < 1e6 ? [1e3, 'k'] : magnitude < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
	const scaled = value / unit;
	return `${scaled.toFixed(Math.abs(scaled) < 100 ? 1 : 0).replace(/\.0$/, '')}${name}`;
}

// As rf_change_percent() has it.
export function change(a, b) {
	if (a === b) return '=';
	if (!a) return 'new';
	const percent = ((b - a) * 100) / a;
	if (percent >= 900) return `× ${(b / a).toFixed(0)}`;
	const text = Math.abs(percent) < 10 || (b && percent < -99) ? percent.toFixed(1) : percent.toFixed(0);
	return `${percent > 0 ? '+' : ''}${text} %`.replace('-', '−');
}

export function bytes(value) {
	const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
	let unit = 0;
	while (value >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit++;
	}
	return `${digits(unit ? Number(value.toPrecision(3)) : value)} ${units[unit]}`;
}

export function seconds(ns) {
	return `${(ns / 1e9).toLocaleString('en-US', { maximumFractionDigits: 3 })} s`;
}

// How wide a text is in a chart, in pixels.
export function textWidth(text) {
	textWidth.context ??= document.createElement('canvas').getContext('2d');
	textWidth.context.font = `12.5px ${looks('--font')}`;
	return textWidth.context.measureText(text).width;
}

export function widest(texts) {
	return Math.max(...texts.map(textWidth), 0);
}

// The ends of a long name say most.
export function shortened(name, most = 30) {
	const head = Math.ceil((most - 1) / 2);
	return name.length <= most ? name : `${name.slice(0, head)}…${name.slice(head + 1 - most)}`;
}

export function looks(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
