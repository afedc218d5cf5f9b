// SPDX-License-Identifier: MIT
// A report as the page has it: counters by name, in each a number for each policy. One wherever it is shown: which
// counter, against which policy.

export function value(columns, counter, policy) {
	return columns?.[counter]?.[policy] ?? 0;
}

export function policyNames(report) {
	return report.policies.map((policy) => String(policy.name));
}

export function word(data, counter) {
	return data.matters.find((matter) => matter.key === counter)?.word ?? counter;
}

// +1: more costs more; -1 does not occur; 0: neither.
export function cost(data, counter) {
	return data.matters.find((matter) => matter.key === counter)?.cost ?? 0;
}

// Those that matter first, then all others that counted anything.
export function counterOptions(data, report) {
	const matters = data.matters.map((matter) => matter.key).filter((key) => report.totals[key]);
	const others = Object.keys(report.totals)
		.filter((key) => !matters.includes(key))
		.sort();
	return [
		{ group: 'counters that matter', options: matters.map((key) => [key, word(data, key)]) },
		{ group: 'all others', options: others.map((key) => [key, key]) },
	];
}

// Rows of what was counted where: what the table and the heat map show.
export function* parts(report) {
	yield { kind: 'total', name: 'all', counts: report.totals };
	for (const [name, counts] of Object.entries(report.operations)) yield { kind: 'cause', name, counts };
	for (const window of report.windows)
		yield { kind: 'window', name: `${window.label} ${window.occurrence}`, counts: window.counts };
	for (const process of report.processes)
		yield { kind: 'process', name: `${process.command || '?'} (${process.pid})`, counts: process.counts };
}
