// SPDX-License-Identifier: MIT
// Many traces as data: the numbers of one under a policy, and what it and its groups are called.
import { word } from './report.js';

export const RATES = {
	second: ['a second', (trace) => trace.duration_ns / 1e9],
	fault: ['a fault', (trace) => trace.faults],
	process: ['a process', (trace) => trace.address_spaces],
};

// Of one trace under one policy; null: not known. The first policy's number is there, of others the distance from it.
function counted(data, counter, trace, policy) {
	const numbers = data.values[counter]?.[trace];
	if (!numbers || numbers[policy] === null) return null;
	return policy ? (numbers[0] ?? 0) + numbers[policy] : numbers[0];
}

export function rate(data, { counter, per }, trace, policy) {
	const number = counted(data, counter, trace, policy),
		divisor = RATES[per][1](data.traces[trace]);
	return number === null || !divisor ? null : number / divisor;
}

export function unit(data, { counter, per }) {
	return `${word(data, counter)} ${RATES[per][0]}`;
}

// A label's value, or that of a fact that groups traces as well.
export function labelOf(trace, label) {
	if (['kernel', 'arch', 'cpus', 'trust'].includes(label)) return String(trace[label] ?? '');
	return String(trace.labels?.[label] ?? '');
}

export function policyName(data, policy) {
	const { name, definition } = data.policies[policy];
	const twice = data.policies.some((other, i) => i !== policy && other.name === name);
	return twice ? `${name} (${String(definition).slice(0, 8)})` : String(name);
}
