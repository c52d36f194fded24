/** What systemd says of the units that are in the package. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../helpers/peer-process.ts';

const UNITS = fileURLToPath(new URL('../../systemd/', import.meta.url));
/** The package's promise; 10 is a service without any protection. */
const MOST_EXPOSURE = 2.5;

function analyze(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
	const program = findProgram('systemd-analyze', 'systemd');
	return spawnSync(program, [...args], {
		encoding: 'utf8',
		timeout: 60_000,
		env: { ...process.env, SYSTEMD_COLORS: '0' },
	});
}

/** A copy with a program that exists here: systemd would look for slime where a system has its programs. */
async function installed(context: TestContext): Promise<string[]> {
	const folder = await mkdtemp(join(tmpdir(), 'slime-units-'));
	context.after(() => rm(folder, { recursive: true, force: true }));
	const names = await readdir(UNITS);
	for (const name of names) {
		const text = await readFile(join(UNITS, name), 'utf8');
		await writeFile(join(folder, name), text.replace(/^ExecStart=slime /m, `ExecStart=${process.execPath} `));
	}
	return names.map((name) => join(folder, name));
}

test('the units are all that systemd wants, and mean what it understands', async (t) => {
	const units = await installed(t);
	assert.ok(units.length >= 6, String(units));
	const { status, stdout, stderr } = analyze(['verify', '--man=no', '--recursive-errors=yes', ...units]);
	assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});

test('each service is exposed to less than 2.5 of 10', async (t) => {
	const services = (await installed(t)).filter((unit) => unit.endsWith('.service'));
	assert.equal(services.length, 4);
	for (const service of services) {
		const { stdout, stderr } = analyze(['security', '--offline=true', '--no-pager', service]);
		const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
		assert.ok(Number(exposure) < MOST_EXPOSURE, `${service}: ${exposure}\n${stdout}${stderr}`);
		assert.match(stdout, /MemoryDenyWriteExecute/);
	}
});

test('a service and its template are protected alike', async () => {
	const directives = async (name: string) => {
		const text = await readFile(join(UNITS, name), 'utf8');
		const protection = text.slice(text.indexOf('DynamicUser='), text.indexOf('[Install]'));
		return protection.split('\n').filter((line) => /^[A-Z]/.test(line));
	};
	for (const who of ['hub', 'agent']) {
		const alone = await directives(`slime-${who}.service`);
		assert.ok(alone.length > 25, String(alone));
		assert.deepEqual(await directives(`slime-${who}@.service`), alone);
	}
});
