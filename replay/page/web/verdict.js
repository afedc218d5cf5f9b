// SPDX-License-Identifier: MIT
// What a reader must know first: the answer, how far it is to be trusted, and what stands against it.
import { bytes, digits, el, section, seconds } from './dom.js';

const MEANS = {
	exact: 'Every check agrees, nothing was lost, and nothing had to be guessed that could be otherwise.',
	marked: 'Some address spaces are marked, or processes hidden. What is not named is as good as exact.',
	doubtful: 'Something is wrong that cannot be narrowed to address spaces: see below.',
};

export function trustBadge(word) {
	const known = Object.hasOwn(MEANS, word) ? word : 'doubtful';
	return el('span', { class: `badge ${known}` }, word);
}

function facts(report) {
	const trace = report.trace ?? {},
		traces = report.traces ?? [];
	return [
		traces.length === 1 ? traces[0].name : `${digits(traces.length)} traces`,
		`${digits(trace.records ?? 0)} records in ${seconds(trace.duration_ns ?? 0)}`,
		`Linux ${trace.kernel} ${trace.arch}`,
		`${bytes(trace.page_size_bytes ?? 0)} pages`,
		`${digits(trace.cpus ?? 0)} CPUs`,
		...Object.entries(traces.length === 1 ? (traces[0].labels ?? {}) : {}).map(
			([key, label]) => `${key}: ${label}`,
		),
	];
}

// Numbers stay with their words and signs.
function bound(text) {
	return text
		.replaceAll(/ -(?=\d)/g, ' −')
		.replaceAll(' -> ', '\u00a0→\u00a0')
		.replaceAll(/ (?=[%+−]|\d)/g, '\u00a0');
}

// "B against A: changes; trust: exact": the trust has a place of its own.
export function answer(sentence) {
	const [, who, what] = sentence.replace(/; trust: [^;]*$/, '').match(/^(.*?): (.*)$/s) ?? [null, '', sentence];
	return el(
		'p',
		{ class: 'answer' },
		who && el('span', { class: 'who' }, who),
		' ',
		el('span', { class: 'what' }, bound(what)),
	);
}

export function verdict({ report, data }) {
	const word = report.trust?.word ?? 'doubtful';
	const warnings = report.warnings ?? [];
	return section(
		'verdict',
		'Verdict',
		null,
		report.complete === false &&
			el(
				'p',
				{ class: 'alarm' },
				'The trace was damaged or cut: the numbers cover what ' + 'could be read.',
			),
		el('div', { class: 'answers' }, (report.answers ?? []).map(answer)),
		el(
			'div',
			{ class: 'trust' },
			el('span', { class: 'trust-label' }, 'Trust'),
			trustBadge(word),
			el('span', {}, MEANS[word] ?? MEANS.doubtful),
			report.trust_text !== word && el('span', { class: 'quiet' }, report.trust_text),
		),
		warnings.length > 0 &&
			el(
				'ul',
				{ class: 'warnings' },
				warnings.map((text) => el('li', {}, text)),
			),
		el(
			'p',
			{ class: 'facts' },
			facts(report).map((fact) => el('span', {}, fact)),
			el('span', {}, `counted by refold ${report.tool?.version ?? data.version}`),
		),
	);
}
