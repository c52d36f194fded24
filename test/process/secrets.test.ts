/**
 * No secret is in any byte that a hub, its agents and the commands print or serve, at log level trace, through traffic, failures,
 * status, metrics, the admin API and mistakes in the configuration. A secret is only where it has to go: an upstream's at that upstream.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createTokens } from '../../src/index.ts';
import { DOCUMENT } from '../helpers/admin-api.ts';
import { type CliOptions, type CliProcess, runCli, startCli, startNode } from '../helpers/cli.ts';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { closedPort } from '../helpers/ports.ts';
import { Captured, formsOf, newSecret, secretsGiven } from '../helpers/secret-search.ts';
import { eventually, rawUpstream } from '../helpers/stack.ts';
import { tlsFiles } from '../helpers/tls-clients.ts';

/** Characters that a header's token may have, and URLs and base64 write otherwise. */
const ODD = '+/%&=?';
/** Milliseconds; many processes at a time are slow on a small machine. */
const LIMIT = 300_000;

test('a secret is found in whatever form it is written, and only then', () => {
	const secret = newSecret();
	for (const [form, text] of formsOf(secret)) {
		const captured = new Captured();
		captured.add('log', `before ${text} behind`);
		assert.ok(captured.find({ one: secret }).includes(`one in log, as ${form}`), form);
		assert.deepEqual(captured.find({ other: newSecret() }), []);
	}
	for (const before of ['', 'a', 'ab', 'user:', 'Bearer ']) {
		for (const encoding of ['base64', 'base64url'] as const) {
			const captured = new Captured();
			captured.add('log', Buffer.from(`${before}${secret} and more`).toString(encoding));
			assert.notDeepEqual(captured.find({ one: secret }), [], before);
		}
	}
});

test('a process that prints a secret which it was given, by a variable or a flag, fails its test', async () => {
	const print = (words: string) => ['--eval', `console.log(${words})`, '--'];
	const [one, other] = [newSecret(''), newSecret('')];
	const env = { SLIME_HUB_APP_PASSWORD: one, SLIME_HUB_APP_PASSWORD_FILE: other };
	await assert.rejects(
		startNode(print('process.env.SLIME_HUB_APP_PASSWORD'), { env }).exit,
		/SLIME_HUB_APP_PASSWORD in stdout/,
	);
	await startNode(print('process.env.SLIME_HUB_APP_PASSWORD_FILE'), { env }).exit;
	assert.deepEqual(secretsGiven(['--admin-token', one, `--secret=${other}`, '--tokenFile', 'x'.repeat(9)], {}), {
		'--admin-token': one,
		'--secret': other,
	});
});

test('no secret is in any byte that the processes print or serve', async (t) => {
	const site = await Site.start(t);
	await site.traffic();
	await site.operate();
	await site.mistakes();
	await site.end();
	const { captured, secrets, places } = site;

	// What was searched is what it should be.
	for (const word of ['"request"', '"agent connected"', '"agent refused"', '"level":"debug"', 'upstream_unreachable']) {
		assert.ok(captured.of('hub').includes(word), `${word} in the hub's log`);
	}
	for (const word of ['"connected"', '"request failed"', '"level":"debug"']) {
		assert.ok(captured.of('agents').includes(word), `${word} in the agents' log`);
	}
	for (const word of [
		' 200 OK',
		' 401 Unauthorized',
		' 403 Forbidden',
		' 429 Too Many Requests',
		' 502 Bad Gateway',
		' 503 ',
		' 400 Bad Request',
	]) {
		assert.ok(captured.of('apps').includes(word), `${word} for apps`);
	}
	for (const word of ['slime_hub_requests_total{', '"recent', '"tokenId"', '"hardware"', '"outcome":"cut"']) {
		assert.ok(captured.of('admin').includes(word), `${word} from the admin listener`);
	}
	assert.ok(captured.of('upstream').includes('GET /ok?'), 'the upstream was asked');

	assert.ok(captured.of('collector').includes('/v1/traces'), 'spans were exported');

	const allowed = new Set(Object.entries(places).map(([name, place]) => `${name} in ${place}`));
	const found = captured.find(secrets);
	assert.deepEqual(
		found.filter((place) => !allowed.has(place.replace(/, as .*$/, ''))),
		[],
	);
	// The search works here too: what has to be somewhere is there.
	for (const place of allowed)
		assert.ok(
			found.some((one) => one.startsWith(place)),
			place,
		);
});

class Site {
	readonly captured = new Captured();
	readonly secrets: Record<string, string>;
	/** Where secrets have to go. */
	readonly places: Readonly<Record<string, string>> = {
		upstreamPassword: 'upstream',
		upstreamToken: 'upstream',
		query: 'upstream',
		cookie: 'upstream',
		body: 'upstream',
		credentials: 'upstream',
		collectorKey: 'collector',
	};
	readonly #dir: string;
	readonly #t: TestContext;
	#hub!: CliProcess;
	#agents!: CliProcess;
	#port = 0;
	#admin = 0;
	#ca = '';
	#hubFile = '';

	static async start(t: TestContext): Promise<Site> {
		const dir = await mkdtemp(join(tmpdir(), 'slime-secrets-'));
		t.after(() => rm(dir, { recursive: true, force: true }));
		const { pem, files } = await tlsFiles(t);
		const site = new Site(t, dir, pem.key.split('\n')[1] ?? '');
		await site.#run(files);
		return site;
	}

	private constructor(t: TestContext, dir: string, keyLine: string) {
		this.#t = t;
		this.#dir = dir;
		this.secrets = {
			secret: newSecret(),
			previousSecret: newSecret(),
			appPassword: newSecret(ODD),
			wrongPassword: newSecret(ODD),
			key: newSecret(ODD),
			keyOfFile: newSecret(ODD),
			adminToken: newSecret(ODD),
			wrongAdminToken: newSecret(ODD),
			hubPassword: newSecret(),
			upstreamPassword: newSecret(),
			upstreamToken: newSecret(ODD),
			absentPassword: newSecret(),
			query: newSecret(''),
			cookie: newSecret(''),
			body: newSecret(),
			answer: newSecret(''),
			credentials: newSecret(ODD),
			mistaken: newSecret(ODD),
			collectorKey: newSecret(''),
			tlsKey: keyLine,
		};
	}

	/** A file of the site's folder, which nobody else may read. */
	async #file(name: string, text: string): Promise<string> {
		const path = join(this.#dir, name);
		await writeFile(path, text, { mode: 0o600 });
		return path;
	}

	async #run(files: { ca: string; cert: string; key: string }): Promise<void> {
		const { secrets } = this;
		const scopes = ['ok', 'tok', 'down', 'cut'];
		const tokens = await createTokens({ secret: secrets.secret ?? '' });
		const strangers = await createTokens({ secret: newSecret() });
		secrets.token = await tokens.issue({ name: 'berlin', scopes });
		secrets.strangersToken = await strangers.issue({ name: 'stranger' });
		this.#ca = await readFile(files.ca, 'utf8');
		await mkdir(join(this.#dir, 'state'));
		this.#hubFile = await this.#file(
			'hub.yaml',
			`hub:
  secretFile: ${await this.#file('secret', `${secrets.secret}\n`)}
  previousSecretFile: ${await this.#file('previous', `${secrets.previousSecret}\n`)}
  adminTokenFile: ${await this.#file('admin', `${secrets.adminToken}\n`)}
  tlsCert: ${files.cert}
  tlsKey: ${files.key}
  host: 127.0.0.1
  port: 0
  adminPort: 0
  stateDir: ${join(this.#dir, 'state')}
  queue: {timeout: 1s}
  accessLog: {sample: 1, errors: true}
  keys:
    - {name: team-a, key: '${secrets.key}', scopes: [ok]}
    - {name: team-b, keyFile: ${await this.#file(
			'key',
			`${secrets.keyOfFile}
`,
		)}, rate: 1/1h}
log: {level: trace}
`,
		);
		const collector = await this.#service('collector', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
		const spans = {
			OTEL_EXPORTER_OTLP_ENDPOINT: `http://${collector}`,
			OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
			OTEL_EXPORTER_OTLP_HEADERS: `api-key=${secrets.collectorKey}`,
		};
		const env = { SLIME_HUB_APP_PASSWORD: secrets.appPassword ?? '', ...spans };
		this.#hub = this.#start('hub', ['hub', 'run', '--config', this.#hubFile], { env });
		const [line] = await this.#hub.output(/^\{.*"the hub listens".*\}$/m);
		({ port: this.#port, adminPort: this.#admin } = JSON.parse(line));

		const ok = await this.#service('upstream', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
		const cut = await this.#service('upstream', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', (socket) =>
			socket.destroy(),
		);
		const hub = `https://proxy:${encodeURIComponent(secrets.hubPassword ?? '')}@127.0.0.1:${this.#port}`;
		const userinfo = (password: string | undefined) => `svc:${encodeURIComponent(password ?? '')}@`;
		const agentFile = await this.#file(
			'agent.yaml',
			`agent:
  tokenFile: ${await this.#file('token', `${secrets.token}\n`)}
  hub: ['${hub}']
  ca: ${files.ca}
  stateDir: ${join(this.#dir, 'state')}
  agentID: gpu
agents:
  - {upstream: ['http://${userinfo(secrets.upstreamPassword)}${ok}'], scopes: [ok]}
  - {upstream: ['${ok}'], upstreamTokenFile: ${await this.#file('upstream', `${secrets.upstreamToken}\n`)}, scopes: [tok]}
  - {upstream: ['http://${userinfo(secrets.absentPassword)}127.0.0.1:${await closedPort()}'], scopes: [down]}
  - {upstream: ['http://${cut}'], scopes: [cut]}
log: {level: trace}
`,
		);
		this.#agents = this.#start('agents', ['agent', 'run', '--config', agentFile], { env: spans });
		const stranger = ['agent', 'run', '--hub', hub, '--upstream', ok, '--ca', files.ca, '--agentID', 'stranger'];
		await this.#listed(this.#hub, this.#agents);
		const refused = this.#start('stranger', stranger, { env: { SLIME_AGENT_TOKEN: secrets.strangersToken ?? '' } });
		await refused.output(/answered 401/);
		await refused.output(/./);
		await eventually('all agents are there', () => this.#hub.stdout.split('"agent connected"').length === 5);
		await eventually('the stranger was refused', () => this.#hub.stdout.includes('"agent refused"'));
		await Promise.all([
			this.#command(['hub', 'check', '--print', '--config', this.#hubFile], { env }),
			this.#command(['agent', 'check', '--print', '--config', agentFile]),
			this.#command(['hub', 'revoke', '--list', '--adminPort', `${this.#admin}`]),
		]);
	}

	#start(name: string, args: readonly string[], options: CliOptions = {}): CliProcess {
		const started = startCli(args, { limit: LIMIT, ...options });
		this.#t.after(async () => {
			started.child.kill('SIGKILL');
			const { stdout, stderr } = await started.exit;
			this.captured.add(name, stdout + stderr);
		});
		return started;
	}

	/** What everybody on this machine sees of them. */
	async #listed(...processes: readonly CliProcess[]): Promise<void> {
		if (process.platform !== 'linux') return;
		for (const { child } of processes) {
			this.captured.add('process list', await readFile(`/proc/${child.pid}/cmdline`, 'utf8'));
		}
	}

	/** Runs a command to its end; what it printed is kept. */
	async #command(args: readonly string[], options?: CliOptions): Promise<number | null> {
		const { code, stdout, stderr } = await runCli(args, { limit: LIMIT, ...options });
		this.captured.add(`slime ${args.slice(0, 2).join(' ')}`, stdout + stderr);
		return code;
	}

	/** A service whose every byte is kept, which answers each request with the same. */
	#service(name: string, bytes: string, then?: (socket: Socket) => void): Promise<string> {
		return rawUpstream(this.#t, (socket) => {
			socket.on('data', (chunk) => {
				this.captured.add(name, chunk.toString('latin1'));
				if (chunk.includes('\r\n\r\n')) socket.write(bytes, () => then?.(socket));
			});
		});
	}

	/** One request of an app; every byte that comes back is kept. */
	async #ask(path: string, fields: Record<string, string | undefined>, body = ''): Promise<string> {
		const socket = connectTls({ host: '127.0.0.1', port: this.#port, ca: this.#ca, ALPNProtocols: ['http/1.1'] });
		const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
		const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
		const method = body === '' ? 'GET' : 'POST';
		socket.write(
			`${method} ${path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n${lines.join('')}${length}\r\n${body}`,
		);
		return this.#read('apps', socket);
	}

	async #read(source: string, socket: Socket): Promise<string> {
		let text = '';
		socket.on('data', (chunk: Buffer) => {
			text += chunk.toString('latin1');
		});
		socket.on('error', () => undefined); // a response that is cut is one of the answers
		await new Promise((resolve) => socket.once('close', resolve));
		this.captured.add(source, text);
		return text;
	}

	async traffic(): Promise<void> {
		const { appPassword, wrongPassword, key, keyOfFile, query, cookie, body, credentials } = this.secrets;
		const password = { 'Slime-App-Password': appPassword };
		const personal = { Cookie: `session=${cookie}`, Authorization: `Bearer ${credentials}` };
		const scope = (name: string) => ({ 'Slime-Scope': name });
		const long = { ...password, 'X-Long': 'x'.repeat(70_000) };
		await Promise.all([
			this.#ask(`/ok?key=${query}`, { ...password, Cookie: personal.Cookie, ...scope('ok') }),
			this.#ask(`/tok?key=${query}`, { Authorization: `Bearer ${appPassword}`, ...scope('tok') }),
			this.#ask('/cut', { ...password, ...personal, ...scope('cut') }, body),
			this.#ask('/down', { ...password, ...personal, ...scope('down') }, body),
			this.#ask(`/down?key=${query}`, { ...password, ...scope('down') }),
			this.#ask('/nobody', { ...password, ...personal, ...scope('nobody') }, body),
			this.#ask('/nobody', { ...password, ...scope('nobody'), 'Slime-Block': '1', 'Slime-Queue-Timeout': '0.1' }, body),
			this.#ask(`/ok?key=${query}`, { 'Slime-App-Password': wrongPassword, ...personal }),
			this.#ask('/ok', { Authorization: `Bearer ${wrongPassword}` }),
			this.#ask('/ok', { Authorization: `Bearer ${key}`, ...scope('ok') }),
			this.#ask('/down', { 'Slime-App-Password': key, ...scope('down') }),
			this.#ask('/ok', { 'Slime-App-Password': keyOfFile, ...scope('ok') }),
			this.#ask('/ok', { 'Slime-App-Password': keyOfFile, ...scope('ok') }),
			this.#ask('/ok', { ...password, 'Content-Length': 'many' }),
			this.#ask('/ok', { ...password, 'Slime-Queue-Timeout': `${credentials}` }),
			this.#ask('/.slime/other', password),
			this.#ask('/ok', long),
		]);
		const session = await h2Connect(this.#t, `https://127.0.0.1:${this.#port}`, { ca: this.#ca });
		for (const fields of [{ ...password, ...scope('ok') }, { 'Slime-App-Password': wrongPassword }]) {
			const headers = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
			const answer = await h2Ask(session, `/ok?key=${query}`, { headers });
			this.captured.add('apps', JSON.stringify([answer.headers, answer.trailers, answer.body]));
		}
		session.destroy();
	}

	/** One request to the admin listener; every byte that comes back is kept. */
	async #administer(method: string, path: string, token: string | undefined, body = ''): Promise<string> {
		const socket = connectTcp(this.#admin, '127.0.0.1');
		const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
		const json = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
		socket.write(
			`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${authorization}${json}\r\n${body}`,
		);
		return this.#read('admin', socket);
	}

	async operate(): Promise<void> {
		const { adminToken, wrongAdminToken } = this.secrets;
		for (const [path, item] of Object.entries(DOCUMENT.paths)) {
			for (const method of Object.keys(item).map((name) => name.toUpperCase())) {
				if (method === 'GET') await this.#administer(method, path, adminToken);
				await this.#administer(method, path, wrongAdminToken);
				await this.#administer(method, path, undefined);
				if (method !== 'GET') await this.#administer(method, path, adminToken, `{"token":"${wrongAdminToken}"}`);
			}
		}
		const recent = await this.#administer('GET', '/api/requests/recent', adminToken);
		this.captured.add('admin', `"recent ${recent}`);
		const admin = ['--adminPort', `${this.#admin}`];
		const file = { env: { SLIME_HUB_ADMIN_TOKEN: adminToken ?? '' } };
		const codes = await Promise.all([
			this.#command(['status', ...admin], file),
			this.#command(['top', ...admin], file),
			this.#command(['agent', 'drain', '--agentID', 'gpu', ...admin], file),
			this.#command(['status', ...admin], { env: { SLIME_HUB_ADMIN_TOKEN: wrongAdminToken ?? '' } }),
		]);
		assert.deepEqual(codes, [0, 0, 0, 1]);
		this.#hub.child.kill('SIGHUP');
		this.#agents.child.kill('SIGHUP');
		await this.#administer('POST', '/api/agents/disconnect', adminToken, '{"agent":"gpu-2"}');
		await this.#administer('POST', '/api/revoke', adminToken, '{"name":"berlin"}');
		await this.#agents.output(/the token of this agent was revoked/);
	}

	/** What is wrong is told, and not what was written there. */
	async mistakes(): Promise<void> {
		const { mistaken } = this.secrets;
		const files = [
			`hub:
  secret: ["${mistaken}"]
  previousSecret: "${mistaken}"
  previousSecretFile: /nowhere
  adminToken: "two words ${mistaken}"
  appPassword: " ${mistaken}"
  appPasswort: "${mistaken}"
  keys: [{name: a, key: "two words ${mistaken}"}, {name: "${mistaken}\n", key: x}, "${mistaken}"]
`,
			`hub: {secret: "${mistaken}`,
		];
		// A hub that runs is told to read them, too.
		for (const text of files) {
			await writeFile(this.#hubFile, text);
			const answer = await this.#administer('POST', '/api/reload', this.secrets.adminToken);
			assert.match(answer, /^HTTP\/1\.1 400 /);
		}
		await this.#hub.output(/"the configuration was not reloaded/);
		const calls: Promise<number | null>[] = files.map(async (text, n) =>
			this.#command(['hub', 'check', '--config', await this.#file(`wrong-${n}.yaml`, text)]),
		);
		for (const words of [
			['hub', 'run', '--secrett', `${mistaken}`],
			['agent', 'check', '--token', `two words ${mistaken}`, '--hub', `https://u:${mistaken}@`],
			['agent', 'check', '--token', 'x', '--hub', 'h:1', '--upstream', `ftp://u:${mistaken}@h`],
		]) {
			calls.push(this.#command(words));
		}
		assert.deepEqual(
			await Promise.all(calls),
			calls.map(() => 2),
		);
	}

	async end(): Promise<void> {
		for (const [name, one] of [
			['hub', this.#hub],
			['agents', this.#agents],
		] as const) {
			one.child.kill('SIGTERM');
			const { stdout, stderr } = await one.exit;
			this.captured.add(name, stdout + stderr);
		}
		for (const file of await readdir(join(this.#dir, 'state'))) {
			this.captured.add('state folder', await readFile(join(this.#dir, 'state', file), 'utf8'));
		}
	}
}
