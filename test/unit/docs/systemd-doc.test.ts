/** docs/systemd.md speaks of every unit in the package, and of the names that the program knows. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { takeSockets } from '../../../src/cli/socket-activation.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8');
const guide = read('docs/systemd.md');

test('every unit of the package is in the guide, and the guide knows no others', () => {
	const { files } = JSON.parse(read('package.json'));
	assert.ok(files.includes('systemd'), 'the package has the units');
	const rows = [...guide.matchAll(/^\| `(slime-[\w@-]+\.(?:service|socket))` \|/gm)].map(([, name]) => name);
	assert.deepEqual(rows.sort(), readdirSync(`${ROOT}systemd`).sort());
});

test('the sockets of the units have the names that a hub knows, each for another listener', () => {
	const names = readdirSync(`${ROOT}systemd`)
		.filter((file) => file.endsWith('.socket'))
		.map((file) => /^FileDescriptorName=(\w+)$/m.exec(read(`systemd/${file}`))?.[1] ?? '');
	const env = { LISTEN_PID: '1', LISTEN_FDS: String(names.length), LISTEN_FDNAMES: names.join(':') };
	assert.deepEqual(takeSockets(env, 1), Object.fromEntries(names.map((name, index) => [name, 3 + index])));
	for (const name of names) assert.ok(guide.includes(`\`${name}\``), name);
});
