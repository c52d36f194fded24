/** What is generated from the configuration's schema is up to date, published, and true of the files that people write. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { HUB_TEMPLATE } from '../../../src/cli/hub-template.ts';
import { DETAILS } from '../../../src/config/keys.ts';
import { REFERENCE_FILE, referenceText, SCHEMA_FILE, schemaText } from '../../../tools/configuration.ts';

const read = (name: string) => readFile(new URL(`../../../${name}`, import.meta.url), 'utf8');
const example = await read('config.example.yaml');
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
const validate = ajv.compile(JSON.parse(await read(SCHEMA_FILE)));

/** Pointers to what is wrong with a file, as an editor would underline it. */
function faults(yaml: string): string[] {
	validate(parse(yaml));
	return (validate.errors ?? []).map(({ instancePath }) => instancePath);
}

test('the JSON Schema and the tables of the reference are those of the schema: npm run generate', async () => {
	assert.equal(await read(SCHEMA_FILE), schemaText());
	const reference = await read(REFERENCE_FILE);
	assert.equal(reference, referenceText(reference));
});

test('every key is described', () => {
	for (const [key, { description }] of DETAILS) assert.match(description, /^[A-Z].+\.$/s, key);
});

test('the JSON Schema is in the package, and the example begins with it', async () => {
	const { files } = JSON.parse(await read('package.json')) as { files: string[] };
	assert.ok(files.includes(SCHEMA_FILE) && files.includes('config.example.yaml'));
	assert.equal(example.split('\n')[0], `# yaml-language-server: $schema=${SCHEMA_FILE}`);
});

test('the JSON Schema takes the example with all of its keys, and what hub init writes', () => {
	assert.deepEqual(faults(example), []);
	assert.deepEqual(faults(example.replaceAll(/^( *)#([a-zA-Z]+:)/gm, '$1$2')), []);
	assert.deepEqual(faults(HUB_TEMPLATE.replaceAll(/^( *)#([a-zA-Z]+:)/gm, '$1$2')), []);
});

test('the JSON Schema takes every default, every way to write a value, and variables in its place', () => {
	for (const [key, { standard }] of DETAILS) {
		const [section, ...rest] = key.split('.');
		if (standard === undefined || key.includes('[]')) continue;
		const value = rest.reduceRight<unknown>((below, name) => ({ [name]: below }), standard);
		assert.ok(validate({ [section ?? '']: value }), `${key}: ${ajv.errorsText(validate.errors)}`);
	}
	const hub =
		'port: "80", adminPort: off, bindIdentity: yes, drainTimeout: 90, slowStart: 1h30m, trustedProxies: loopback';
	const queue = 'queue: {max: 0, maxBytes: 1.5 MiB, mode: "${MODE}"}';
	const agent = 'agentID: 7, numWorker: "${WORKERS:-2}", reportHardware: "${REPORT}", hub: "a:1,b:2"';
	const ways = `hub: {${hub}, ${queue}, cors: {origins: ["*"]}}\nagent: {${agent}}`;
	assert.deepEqual(faults(ways), []);
	assert.deepEqual(
		faults(
			'hub: {keys: [{name: a, keyFile: f, scopes: x, rate: 10/s}, {name: b, key: 7, concurrent: 0, rate: 5/1m30s}]}',
		),
		[],
	);
	assert.deepEqual(
		faults('agent: {labels: {gpu: A100, rank: 1}}\nagents: [{upstream: a:1, labels: [a=b]}, {scopes: []}]'),
		[],
	);
});

test('the JSON Schema refuses what a check would refuse', () => {
	for (const [yaml, path] of [
		['hub: {prot: 1}', '/hub'],
		['hub: {port: 65536}', '/hub/port'],
		['hub: {port: http}', '/hub/port'],
		['hub: {drainTimeout: soon}', '/hub/drainTimeout'],
		['hub: {queue: {maxBytes: 12 bytes}}', '/hub/queue/maxBytes'],
		['agent: {numWorker: 0}', '/agent/numWorker'],
		['agent: {reportHardware: perhaps}', '/agent/reportHardware'],
		['agent: {upstream: []}', '/agent/upstream'],
		['agent: {labels: {"-": x}}', '/agent/labels'],
		['agents: [{upstream: a:1}, {prot: 1}]', '/agents/1'],
		['agents: {upstream: a:1}', '/agents'],
		['hub: {keys: [{name: a, rate: fast}]}', '/hub/keys/0/rate'],
		['hub: {keys: [{name: a, priority: 8}]}', '/hub/keys/0/priority'],
		['hub: {keys: [{nam: a}]}', '/hub/keys/0'],
		['log: {level: loud}', '/log/level'],
		['hbu: {}', ''],
	] as const) {
		assert.ok(faults(yaml).includes(path), `${yaml}: ${faults(yaml)}`);
	}
});
