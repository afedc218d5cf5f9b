// SPDX-License-Identifier: MIT
//
// Makes the page: bundles main.js with its libraries, puts program and looks into page.html, and writes it as a C file
// of two arrays, before the data and behind them. The same input gives the same bytes.
//
//	node bundle.mjs TEMPLATE.c
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));

async function bundled() {
	const { outputFiles, metafile } = await build({
		entryPoints: [join(here, 'main.js')],
		bundle: true,
		minify: true,
		write: false,
		outdir: '/bundle',
		absWorkingDir: here,
		charset: 'ascii',
		format: 'iife',
		legalComments: 'none',
		metafile: true,
		target: ['chrome100', 'firefox100', 'safari15'],
		logLevel: 'warning',
	});
	const of = (ending) => outputFiles.find((file) => file.path.endsWith(ending)).text.trim();
	return { script: of('.js'), style: of('.css'), inputs: Object.keys(metafile.inputs) };
}

// Whose code is in it: the licenses want to be with every copy. The same text is there once.
function licenses(inputs) {
	const packages = new Set(
		inputs.map((path) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean),
	);
	const texts = new Map();
	for (const name of [...packages].sort()) {
		const folder = join(here, 'node_modules', name);
		const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
		const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
		// The Apache license may be named; others are to be repeated.
		const text =
			license === 'Apache-2.0' || !file
				? `${license} license: https://www.apache.org/licenses/LICENSE-2.0`
				: readFileSync(join(folder, file), 'utf8').trim();
		texts.set(text, [...(texts.get(text) || []), `${name} ${version}`]);
	}
	return [...texts]
		.map(([text, names]) => `${names.join(', ')}:\n\n${text}`)
		.join('\n\n\n')
		.replaceAll('--', '- -');
}

const { script, style, inputs } = await bundled();
const hash = createHash('sha256').update(script).digest('base64');
const parts = {
	// Styles are inline because the libraries make some; nothing can be fetched, and no other script can run.
	policy:
		`default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; base-uri 'none'; ` +
		`form-action 'none'`,
	style,
	script,
	licenses: licenses(inputs),
};
const page = readFileSync(join(here, 'page.html'), 'utf8').replace(/\{\{(\w+)\}\}/g, (whole, name) =>
	name === 'data' ? whole : parts[name],
);
const [before, behind] = page.split('{{data}}').map((text) => Buffer.from(text));

function array(name, bytes) {
	const lines = [];
	for (let i = 0; i < bytes.length; i += 24) lines.push('\t' + [...bytes.subarray(i, i + 24)].join(','));
	return `static const unsigned char ${name}[] = {\n${lines.join(',\n')}\n};\n`;
}

writeFileSync(
	process.argv[2],
	`// SPDX-License-Identifier: MIT
/* Made by replay/page/web/bundle.mjs. */
#include "replay/page/page.h"

${array('before', before)}
${array('behind', behind)}
const struct rf_page_template rf_page_template = { before, behind, sizeof(before), sizeof(behind) };
`,
);
