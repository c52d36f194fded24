/** Flags, variables and files together: which one counts, and what is said of mistakes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { AGENT_DEFAULTS } from '../../../src/agent/options.ts';
import { ACCESS_LOG_FIELDS } from '../../../src/config/access-log.ts';
import { loadHubSecret } from '../../../src/config/load.ts';
import { HUB_DEFAULTS } from '../../../src/hub/options.ts';
import { pinOf } from '../../../src/tls/pins.ts';
import { makeCertificates } from '../../helpers/certificates.ts';
import { folder } from '../../helpers/configuring.ts';

const SECRET = 'a secret of more than 16';
const pem = makeCertificates();

test('the defaults are those of the documentation', async (t) => {
	const { hub, agent } = await folder(t);
	const { settings, logLevel, warnings } = await hub({ flags: { 'hub.secret': SECRET } });
	assert.deepEqual(settings, {
		secret: SECRET,
		host: '0.0.0.0',
		port: 8080,
		concurrent: 0,
		keys: [],
		tls: undefined,
		clientAuth: 'agents',
		bindIdentity: false,
		trustedProxies: [],
		proxyProtocol: false,
		cors: undefined,
		adminHost: '127.0.0.1',
		adminPort: 8081,
		readyNeedsAgent: false,
		adminRequired: false,
		auditLog: false,
		accessLog: { sample: 0, errors: false, fields: [...ACCESS_LOG_FIELDS] },
		queue: {
			mode: 'header',
			max: 1024,
			maxWithoutAgent: 1024,
			timeout: 300_000,
			maxBytes: 268_435_456,
			aging: 30_000,
			waitForUpstream: false,
		},
		setAsideAfter: 5,
		setAsideLast: false,
		slowStart: 10_000,
		tokenExpiry: 'finish',
		retryIdempotent: false,
		heartbeat: { interval: 10_000, timeout: 5_000 },
		firstByteTimeout: 600_000,
		drainTimeout: 30_000,
		maxConnections: 10_000,
		maxConnectionsPerAddress: 0,
		maxRequestsPerConnection: 0,
		headersTimeout: 15_000,
		keepAliveTimeout: 75_000,
		handshakeTimeout: 15_000,
		upgrades: [],
	});
	assert.equal(logLevel, 'info');
	assert.deepEqual(warnings, []);
	const flags = { 'agent.token': 't', 'agent.hub': 'h:1', 'agent.upstream': 'u:1' };
	assert.deepEqual((await agent({ flags })).settings, {
		token: 't',
		hubs: ['h:1'],
		upstreams: ['u:1'],
		numWorker: 1,
		reportHardware: true,
		transport: 'auto',
		waitForUpstream: false,
		healthCheck: { interval: 10_000, timeout: 5_000, unhealthyThreshold: 3, healthyThreshold: 1 },
		connectTimeout: 10_000,
		resolveInterval: 30_000,
		firstByteTimeout: 600_000,
		drainTimeout: 30_000,
		heartbeat: { interval: 10_000, timeout: 5_000 },
	});
});

test('a configuration that says nothing gives what an embedding program gets', async (t) => {
	const { hub, agent } = await folder(t);
	const { secret, ...hubSettings } = (await hub({ flags: { 'hub.secret': SECRET } })).settings;
	const { logger: _, ...hubDefaults } = HUB_DEFAULTS;
	const unset = { tls: undefined, cors: undefined };
	assert.deepEqual({ ...hubSettings, ...unset }, { ...hubDefaults, ...unset });
	const flags = { 'agent.token': 't', 'agent.hub': 'h:1', 'agent.upstream': 'u:1' };
	const { token, hubs, upstreams, ...agentSettings } = (await agent({ flags })).settings;
	const { logger: __, ...agentDefaults } = AGENT_DEFAULTS;
	assert.deepEqual(agentSettings, agentDefaults);
});

test('a flag stands above a variable, a variable above the file, the file above the default', async (t) => {
	const { hub } = await folder(t);
	const yaml = `hub: {secret: ${SECRET}, port: 1, host: "1.1.1.1", concurrent: 1, queue: {max: 1}}\nlog: {level: warn}`;
	const env = {
		SLIME_HUB_PORT: '2',
		SLIME_HUB_HOST: '2.2.2.2',
		SLIME_HUB_QUEUE_MAX_BYTES: '2KiB',
		SLIME_LOG_LEVEL: 'debug',
	};
	const { settings, logLevel } = await hub({ yaml, env, flags: { 'hub.port': '3' } });
	assert.equal(settings.port, 3);
	assert.equal(settings.host, '2.2.2.2');
	assert.equal(settings.concurrent, 1);
	assert.deepEqual(settings.queue, {
		mode: 'header',
		max: 1,
		maxWithoutAgent: 1024,
		timeout: 300_000,
		maxBytes: 2048,
		aging: 30_000,
		waitForUpstream: false,
	});
	assert.equal(logLevel, 'debug');
});

test('the access log takes a share of requests, and fields by name', async (t) => {
	const { hub, mistakes } = await folder(t);
	const flags = { 'hub.secret': SECRET };
	const read = async (yaml: string) => (await hub({ flags, yaml: `hub: {accessLog: {${yaml}}}` })).settings.accessLog;
	for (const [written, sample] of [
		['1', 1],
		['0.25', 0.25],
		['.5', 0.5],
		['1.0', 1],
		['0', 0],
	] as const) {
		assert.equal((await read(`sample: ${written}`)).sample, sample);
	}
	assert.deepEqual((await read('errors: true, fields: [status, requestId]')).fields, ['status', 'requestId']);
	assert.deepEqual(await mistakes(read('sample: 2, fields: [status, cookie]')), [
		'slime.yaml:1:27: hub.accessLog.sample: "2" is not a share: write a number from 0 to 1, such as 0.01',
		`slime.yaml:1:47: hub.accessLog.fields: "cookie" is not a choice: there are ${ACCESS_LOG_FIELDS.join(', ')}`,
	]);
	for (const wrong of ['-1', '1.5', '50%', '1e-3', 'all']) {
		assert.equal((await mistakes(read(`sample: ${wrong}`))).length, 1, wrong);
	}
});

test('an admin port that anyone set must be had', async (t) => {
	const { hub } = await folder(t);
	const flags = { 'hub.secret': SECRET };
	const required = async (...[written]: Parameters<typeof hub>) => (await hub(written)).settings.adminRequired;
	assert.equal(await required({ flags: { ...flags, 'hub.adminPort': '0' } }), true);
	assert.equal(await required({ flags, env: { SLIME_HUB_ADMIN_PORT: 'off' } }), true);
	assert.equal(await required({ flags, yaml: 'hub: {adminPort: 8081}' }), true);
	assert.equal((await hub({ flags, yaml: 'hub: {adminPort: OFF}' })).settings.adminPort, 'off');
});

test('upgrades are a list of protocols, which may be empty, and none that would carry requests past the hub', async (t) => {
	const { hub, mistakes } = await folder(t);
	const upgrades = async (yaml: string) =>
		(await hub({ yaml: `hub:\n  secret: ${SECRET}\n  upgrades: ${yaml}` })).settings.upgrades;
	assert.deepEqual(await upgrades('[]'), []);
	assert.deepEqual(await upgrades('[tcp, SPDY/3.1]'), ['tcp', 'SPDY/3.1']);
	const env = { SLIME_HUB_SECRET: SECRET, SLIME_HUB_UPGRADES: 'tcp,own' };
	assert.deepEqual((await hub({ env })).settings.upgrades, ['tcp', 'own']);
	for (const [wrong, said] of [
		['h2c', 'past the hub'],
		['h2c-reverse', 'past the hub'],
		['HTTP/2.0', 'past the hub'],
		['tls/1.0', 'past the hub'],
		['"a b"', 'not the name of a protocol'],
		['a/b/c', 'not the name of a protocol'],
		['""', 'empty'],
	] as const) {
		const lines = await mistakes(upgrades(`[tcp, ${wrong}]`));
		assert.equal(lines.length, 1, wrong);
		assert.match(lines[0] ?? '', new RegExp(`:3:.*${said}`));
	}
});

test('a value is the text that was written: YAML makes no numbers, booleans or times of it', async (t) => {
	const { hub, agent } = await folder(t);
	const yaml = 'hub: {secret: 0123456789012345678, appPassword: 1e3, port: "0123"}';
	const { settings } = await hub({ yaml });
	assert.equal(settings.secret, '0123456789012345678');
	assert.equal(settings.appPassword, '1e3');
	assert.equal(settings.port, 123);
	const agentYaml = 'agent: {token: 00, hub: h:1, upstream: u:1, agentID: 0x10, reportHardware: no, numWorker: 65535}';
	const { settings: read } = await agent({ yaml: agentYaml });
	assert.equal(read.token, '00');
	assert.equal(read.agentID, '0x10');
	assert.equal(read.reportHardware, false);
	assert.equal(read.numWorker, 65_535);
});

test('secrets are read from files, without the end of the line, relative to the file that names them', async (t) => {
	const { hub, agent } = await folder(t);
	const files = { secret: `${SECRET}\n`, old: 'old secret\r\n', pw: ' in side ', token: 'v3.local.x\n', up: 'up' };
	const yaml = 'hub: {secretFile: secret, previousSecretFile: ./old}';
	const { settings } = await hub({ yaml, files });
	assert.equal(settings.secret, SECRET);
	assert.equal(settings.previousSecret, 'old secret');
	const agentYaml = 'agent: {tokenFile: token, upstreamTokenFile: up, hub: h:1, upstream: u:1}';
	const { settings: read } = await agent({ yaml: agentYaml, files });
	assert.equal(read.token, 'v3.local.x');
	assert.equal(read.upstreamToken, 'up');
});

test('PEM files and state folders become absolute: in the file from its folder, elsewhere from the current one', async (t) => {
	const { hub, path } = await folder(t);
	const files = { 'a.crt': pem.cert, 'a.key': pem.key, 'ca.crt': pem.ca };
	const yaml = `hub: {secret: ${SECRET}, tlsCert: a.crt, tlsKey: ./a.key, clientCa: ca.crt, stateDir: state}`;
	const { settings } = await hub({ yaml, files });
	const tls = { cert: join(path, 'a.crt'), key: join(path, 'a.key'), clientCa: join(path, 'ca.crt') };
	assert.deepEqual(settings.tls, tls);
	assert.equal(settings.stateDir, join(path, 'state'));
	const { settings: flagged } = await hub({ yaml, flags: { 'hub.stateDir': 'here' } });
	assert.equal(flagged.stateDir, join(process.cwd(), 'here'));
});

test('a secret and its file from one source are a mistake, from two the higher source has it', async (t) => {
	const { hub, mistakes, path } = await folder(t);
	const files = { secret: 'the secret of the file' };
	const lines = await mistakes(hub({ yaml: 'hub:\n  secretFile: secret\n  secret: text', files }));
	assert.deepEqual(lines, ['slime.yaml:3:11: hub.secret: slime.yaml:2:15 says it as well; keep one']);
	const byFlags = hub({ flags: { 'hub.secret': 'text', 'hub.secretFile': join(path, 'secret') } });
	assert.deepEqual(await mistakes(byFlags), ['--secret: --secretFile says it as well; keep one']);

	const above = await hub({ yaml: 'hub: {secretFile: no such file}', env: { SLIME_HUB_SECRET: SECRET } });
	assert.equal(above.settings.secret, SECRET);
	const flagged = await hub({ env: { SLIME_HUB_SECRET: SECRET }, flags: { 'hub.secretFile': join(path, 'secret') } });
	assert.equal(flagged.settings.secret, 'the secret of the file');
});

test('what is missing is said where it belongs, with the ways to give it', async (t) => {
	const { hub, agent, mistakes } = await folder(t);
	const remedy = 'give --secretFile, SLIME_HUB_SECRET_FILE or hub.secretFile in the configuration';
	assert.deepEqual(await mistakes(hub({})), [`slime: the hub needs a secret: ${remedy}`]);
	assert.deepEqual(await mistakes(hub({ yaml: '# nothing\nlog:\n' })), [
		`slime.yaml:1:1: the hub needs a secret: ${remedy}`,
	]);
	assert.match(
		(await mistakes(hub({ yaml: 'log: {}\n\nhub:\n  port: 1\n' }))).join(),
		/^slime\.yaml:3:1: the hub needs/,
	);
	const lines = await mistakes(agent({}));
	assert.equal(lines.length, 3);
	assert.match(lines.join(), /--tokenFile.*--hub.*--upstream/s);
});

test('mistakes of all sources come at once, those of the file in its order', async (t) => {
	const { agent, mistakes } = await folder(t);
	const yaml = ['agent:', '  hub: [a:1, ftp://b]', '  upstream: a', '  numWorker: 65536', 'hub:', '  port: x'].join(
		'\n',
	);
	const env = {
		SLIME_AGENT_AGENT_ID: 'a/b',
		SLIME_AGENT_CA: '/nowhere/ca',
		SLIME_HUB_PORT: 'not the agent’s business',
	};
	const lines = await mistakes(agent({ yaml, env, flags: { 'agent.connectTimeout': '30 s', 'agent.token': 'a b' } }));
	const places = lines.map((line) => /^[^ ]+(?=: )/.exec(line)?.[0]);
	assert.deepEqual(places.slice(0, 4), ['slime.yaml:2:14', 'slime.yaml:3:13', 'slime.yaml:4:14', 'slime.yaml:6:9']);
	const others = ['--connectTimeout', '--token', 'SLIME_AGENT_AGENT_ID', 'SLIME_AGENT_CA'];
	assert.deepEqual(places.slice(4).sort(), others);
	assert.match(lines[2] ?? '', /agent\.numWorker: "65536" is not .*: write a whole number from 1 to 65535/);
});

test('values out of range are refused, and what would be right is said', async (t) => {
	const { hub, agent, mistakes } = await folder(t);
	const wrongHub: Record<string, string> = {
		port: '65536',
		adminPort: 'none',
		host: 'a b',
		concurrent: '-1',
		maxConnections: '0',
		firstByteTimeout: '0',
		drainTimeout: '25d',
		appPassword: ' padded',
	};
	for (const [name, value] of Object.entries(wrongHub)) {
		const lines = await mistakes(hub({ flags: { 'hub.secret': SECRET, [`hub.${name}`]: value } }));
		assert.equal(lines.length, 1, name);
		assert.match(lines[0] ?? '', new RegExp(`^--${name}: `));
	}
	const right = { 'agent.token': 't', 'agent.hub': 'h:1', 'agent.upstream': 'u:1' };
	for (const [name, value] of Object.entries({
		numWorker: '0',
		agentID: '',
		reportHardware: 'maybe',
		hub: 'a:1,,b:1',
	})) {
		const lines = await mistakes(agent({ flags: { ...right, [`agent.${name}`]: value } }));
		assert.equal(lines.length, 1, name);
	}
	const queue = 'hub: {queue: {mode: sometimes, max: 1.5, timeout: never, maxBytes: lots}, heartbeat: {interval: 1ms}}';
	assert.equal((await mistakes(hub({ yaml: queue, flags: { 'hub.secret': SECRET } }))).length, 5);
});

test('files that cannot be read are mistakes at the keys that name them', async (t) => {
	const { hub, mistakes, path } = await folder(t);
	await mkdir(join(path, 'folder'));
	const files = { empty: '\n', binary: Buffer.from([0xff, 0xfe, 0x80]), large: 'x'.repeat(65_537) };
	const said = async (name: string) =>
		(await mistakes(hub({ yaml: `hub:\n  secretFile: ${name}\n`, files }))).join().replace(`${path}/`, '');
	assert.match(
		await said('missing'),
		/^slime\.yaml:2:15: hub\.secretFile: cannot read missing: there is no such file$/,
	);
	assert.match(await said('folder'), /it is a folder$/);
	assert.match(await said('empty'), /it is empty$/);
	assert.match(await said('binary'), /it is not UTF-8 text$/);
	assert.match(await said('large'), /it is larger than 64 KiB$/);
	const tls = await mistakes(hub({ flags: { 'hub.secret': SECRET, 'hub.tlsCert': '/nowhere', 'hub.tlsKey': path } }));
	assert.deepEqual(tls.length, 2);
	assert.match(tls.join(), /--tlsCert: cannot read \/nowhere.*--tlsKey: cannot read .*it is a folder/s);
});

test('a file that others may not read is a mistake too', {
	skip: process.getuid?.() === 0 && 'root reads all',
}, async (t) => {
	const { hub, mistakes, path, sources } = await folder(t);
	await sources({ files: { secret: SECRET } });
	await chmod(join(path, 'secret'), 0);
	assert.match(
		(await mistakes(hub({ flags: { 'hub.secretFile': join(path, 'secret') } }))).join(),
		/permission denied/,
	);
});

test('keys that mean nothing alone ask for the other', async (t) => {
	const { hub, mistakes } = await folder(t);
	const files = { crt: '', ca: '' };
	const yaml = `hub:\n  secret: ${SECRET}\n  tlsCert: crt\n`;
	assert.deepEqual(await mistakes(hub({ yaml, files })), ['slime.yaml:3:12: hub.tlsCert: needs hub.tlsKey beside it']);
	const onlyCa = `hub:\n  secret: ${SECRET}\n  clientCa: ca\n`;
	assert.match((await mistakes(hub({ yaml: onlyCa, files }))).join(), /needs hub\.tlsCert beside it/);
});

test('certificates that are not right are mistakes at the keys that name their files', async (t) => {
	const { hub, agent, mistakes } = await folder(t);
	const files = { 'a.crt': pem.cert, 'a.key': pem.key, 'other.key': pem.clientKey, 'ca.crt': pem.ca, bad: 'no PEM' };
	const ofHub = async (keys: string) => mistakes(hub({ yaml: `hub:\n  secret: ${SECRET}\n${keys}`, files }));
	assert.deepEqual(await ofHub('  tlsCert: a.crt\n  tlsKey: a.key\n  clientCa: ca.crt\n'), []);
	assert.deepEqual(await ofHub('  tlsCert: bad\n  tlsKey: a.key\n'), [
		'slime.yaml:3:12: hub.tlsCert: bad: holds no certificate in PEM',
	]);
	assert.deepEqual(await ofHub('  tlsCert: a.crt\n  tlsKey: other.key\n'), [
		'slime.yaml:4:11: hub.tlsKey: other.key: is not the key of the first certificate in a.crt',
	]);
	assert.deepEqual(await ofHub('  tlsCert: a.crt\n  tlsKey: a.key\n  clientCa: bad\n'), [
		'slime.yaml:5:13: hub.clientCa: bad: holds no certificate in PEM',
	]);
	const yaml = 'agent:\n  token: t\n  hub: https://h\n  upstream: u:1\n  ca: bad\n';
	assert.deepEqual(await mistakes(agent({ yaml, files })), [
		'slime.yaml:5:7: agent.ca: bad: holds no certificate in PEM',
	]);
});

test('certificates that come through a pipe are not read before they are needed', async (t) => {
	const { hub, path } = await folder(t);
	const pipe = join(path, 'pipe');
	// Opening it would wait for somebody to write.
	await promisify(execFile)('mkfifo', [pipe]);
	const yaml = `hub: {secret: ${SECRET}, tlsCert: a.crt, tlsKey: pipe}`;
	assert.equal((await hub({ yaml, files: { 'a.crt': pem.cert } })).settings.tls?.key, pipe);
});

test('who must bring certificates, and where agents connect to, can be said in the file', async (t) => {
	const { hub, mistakes } = await folder(t);
	const files = { 'a.crt': pem.cert, 'a.key': pem.key, 'ca.crt': pem.ca };
	const tls = `secret: ${SECRET}, tlsCert: a.crt, tlsKey: a.key, clientCa: ca.crt`;
	const yaml = `hub: {${tls}, clientAuth: all, bindIdentity: yes, agentHost: 127.0.0.1, agentPort: 0}`;
	const { settings } = await hub({ yaml, files });
	const { clientAuth, bindIdentity, agentHost, agentPort } = settings;
	assert.deepEqual([clientAuth, bindIdentity, agentHost, agentPort], ['all', true, '127.0.0.1', 0]);
	const env = { SLIME_HUB_CLIENT_AUTH: 'optional', SLIME_HUB_AGENT_PORT: '9' };
	const varied = (await hub({ yaml, files, env })).settings;
	assert.deepEqual([varied.clientAuth, varied.agentPort], ['optional', 9]);
	const said = async (keys: string) => mistakes(hub({ yaml: `hub:\n  secret: ${SECRET}\n${keys}` }));
	assert.deepEqual(await said('  clientAuth: some\n  bindIdentity: true\n  agentHost: ::1\n'), [
		'slime.yaml:3:15: hub.clientAuth: needs hub.clientCa beside it',
		'slime.yaml:3:15: hub.clientAuth: "some" is not a choice: write agents or all or optional',
		'slime.yaml:4:17: hub.bindIdentity: needs hub.clientCa beside it',
		'slime.yaml:5:14: hub.agentHost: needs hub.agentPort beside it',
	]);
	assert.deepEqual(await said('  bindIdentity: no\n'), []);
});

test('a pin is the hash of a key, and means nothing without https', async (t) => {
	const { agent, mistakes } = await folder(t);
	const flags = { 'agent.token': 't', 'agent.upstream': 'u:1', 'agent.hub': 'https://a,HTTPS://b' };
	const pins = [pinOf(pem.cert), pinOf(pem.ca)];
	const { settings } = await agent({ flags: { ...flags, 'agent.pin': pins.join(), 'agent.serverName': 'hub.test' } });
	assert.deepEqual([settings.pin, settings.serverName], [pins, 'hub.test']);
	const said = async (more: Record<string, string>) => mistakes(agent({ flags: { ...flags, ...more } }));
	assert.match(
		(await said({ 'agent.pin': 'sha256/abc' })).join(),
		/^--pin: "sha256\/abc" is not a pin: write sha256\/ and/,
	);
	assert.match((await said({ 'agent.pin': `${pins[0]},sha1/x` })).join(), /^--pin: "sha1\/x" is not a pin/);
	assert.match((await said({ 'agent.serverName': 'a:443' })).join(), /^--serverName: "a:443" is not a server name/);
	assert.deepEqual(await said({ 'agent.pin': pins.join(), 'agent.hub': 'https://a,b:80' }), [
		'--pin: needs https:// before every address of agent.hub',
	]);
	assert.deepEqual(await said({ 'agent.serverName': 'x', 'agent.hub': 'b:80' }), [
		'--serverName: needs an https:// address in agent.hub',
	]);
});

test('the configuration is --config, else SLIME_CONFIG, else .slime.yaml at home if there is one', async (t) => {
	const { hub, mistakes, path } = await folder(t);
	const files = { '.slime.yaml': `hub: {secret: ${SECRET}, port: 1}`, other: `hub: {secret: ${SECRET}, port: 2}` };
	assert.equal((await hub({ files })).settings.port, 1);
	const env = { SLIME_CONFIG: join(path, 'other') };
	assert.equal((await hub({ env })).settings.port, 2);
	assert.equal((await hub({ env, yaml: `hub: {secret: ${SECRET}, port: 3}` })).settings.port, 3);
	const missing = await mistakes(hub({ env: { SLIME_CONFIG: join(path, 'missing') } }));
	assert.deepEqual(missing, ['SLIME_CONFIG: cannot read missing: there is no such file']);
});

test('short secrets are warned of, with what to do', async (t) => {
	const { hub } = await folder(t);
	const { warnings } = await hub({ yaml: 'hub: {secret: fifteen_letters}', flags: { 'hub.appPassword': 'pw' } });
	assert.equal(warnings.length, 2);
	assert.match(warnings[0] ?? '', /slime\.yaml:1:15: hub\.secret has fewer than 16 characters.*openssl rand/);
	assert.match(warnings[1] ?? '', /--appPassword: hub\.appPassword has fewer/);
	assert.doesNotMatch(warnings.join(), /fifteen_letters/);
});

test('variables that nobody reads are warned of, those that Kubernetes makes are not', async (t) => {
	const { hub } = await folder(t);
	const env = {
		SLIME_HUB_PROT: '1',
		SLIME_SERVICE_HOST: '10.0.0.1',
		SLIME_PORT: 'tcp://10.0.0.1:80',
		SLIME_PORT_80_TCP_ADDR: '10.0.0.1',
		SLIME_HUB_PORT: 'tcp://10.0.0.1:8080',
		SLIME_AGENT_TOKEN: 'for another command',
	};
	const { settings, warnings } = await hub({ env, flags: { 'hub.secret': SECRET } });
	assert.equal(settings.port, 8080);
	assert.equal(warnings.length, 2);
	assert.match(warnings.join('\n'), /SLIME_HUB_PROT is not a variable of this program; did you mean SLIME_HUB_PORT\?/);
	assert.match(warnings.join('\n'), /SLIME_HUB_PORT is ignored: Kubernetes set it/);
});

test('an empty variable is a mistake rather than an open door', async (t) => {
	const { hub, mistakes } = await folder(t);
	const lines = await mistakes(hub({ env: { SLIME_HUB_APP_PASSWORD: '' }, flags: { 'hub.secret': SECRET } }));
	assert.deepEqual(lines, ['SLIME_HUB_APP_PASSWORD: is empty: give it a value or unset it']);
	assert.equal((await mistakes(hub({ env: { SLIME_HUB_SECRET: '' } }))).length, 1);
});

test('no mistake repeats a secret', async (t) => {
	const { hub, agent, mistakes } = await folder(t);
	const texts = [
		'  appPassword: " xyzzy"\n  secret: [xyzzy, b]',
		'  secret: *xyzzy',
		'  secret: !xyzzy a',
		'  secret: &xyzzy',
		'  secret: @xyzzy',
		'  secret: "a\\qxyzzy"',
		'  secret: "xyzzy',
		'  secret: |xyzzy',
		'  secret: a: xyzzy',
		'  port: 1\n  secret:xyzzy',
		'  port: 1\n    secret:xyzzy',
		'---\n%xyzzy\n---\n',
	];
	for (const text of texts) {
		const lines = await mistakes(hub({ yaml: `hub:\n${text}\n` }));
		assert.notEqual(lines.length, 0, text);
		assert.doesNotMatch(lines.join('\n'), /xyzzy/);
	}
	const flags = { 'agent.token': 'a xyzzy', 'agent.hub': 'u:xyzzy@:1', 'agent.upstream': 'http://u:xyzzy@' };
	const lines = await mistakes(agent({ flags }));
	assert.equal(lines.length, 3);
	assert.doesNotMatch(lines.join('\n'), /xyzzy/);
});

test('tokens can be made where the rest of the hub is not', async (t) => {
	const { sources, mistakes } = await folder(t);
	const yaml = 'hub:\n  secretFile: secret\n  tlsCert: /nowhere\n  appPasswordFile: /nowhere\n';
	assert.equal(await loadHubSecret(await sources({ yaml, files: { secret: SECRET } })), SECRET);
	assert.match((await mistakes(loadHubSecret(await sources({})))).join(), /a token needs the secret of its hub/);
});

test('proxies, cross-origin requests and limits of connections can be written in every way', async (t) => {
	const { hub } = await folder(t);
	const yaml = `hub:
  secret: ${SECRET}
  trustedProxies: [loopback, 10.0.0.0/8]
  proxyProtocol: true
  cors: {origins: [https://app.example, "http://localhost:3000"], credentials: true, maxAge: 5m}
  headersTimeout: 5s`;
	const { settings } = await hub({
		yaml,
		env: { SLIME_HUB_CORS_METHODS: 'GET,POST', SLIME_HUB_MAX_REQUESTS_PER_CONNECTION: '100' },
		flags: { 'hub.trustedProxies': 'private,2001:db8::/32' },
	});
	assert.deepEqual(settings.trustedProxies, ['private', '2001:db8::/32']);
	assert.equal(settings.proxyProtocol, true);
	assert.deepEqual(settings.cors, {
		origins: ['https://app.example', 'http://localhost:3000'],
		methods: ['GET', 'POST'],
		headers: ['*'],
		exposedHeaders: ['Slime-Agent-Id', 'Slime-Error', 'Retry-After', 'X-Request-Id'],
		credentials: true,
		maxAge: 300_000,
	});
	assert.equal(settings.headersTimeout, 5000);
	assert.equal(settings.maxRequestsPerConnection, 100);
});

test('proxies and origins that cannot be meant are mistakes at their keys', async (t) => {
	const { hub, mistakes } = await folder(t);
	const wrong = async (text: string) => mistakes(hub({ yaml: `hub: {secret: ${SECRET}, ${text}}` }));
	const [network] = await wrong('trustedProxies: [10.0.0.0/8, localhost]');
	assert.match(
		network ?? '',
		/^slime\.yaml:1:\d+: hub\.trustedProxies: "localhost" is no network: write an IP address/,
	);
	const [alone] = await wrong('proxyProtocol: true');
	assert.match(alone ?? '', /^slime\.yaml:1:\d+: hub\.proxyProtocol: needs hub\.trustedProxies beside it/);
	assert.deepEqual(await wrong('proxyProtocol: false'), []);
	const [origin] = await wrong('cors: {origins: ["https://app.example/"]}');
	assert.match(
		origin ?? '',
		/hub\.cors\.origins: "https:\/\/app\.example\/" is not an origin: write a scheme and a host/,
	);
	const [name] = await wrong('cors: {origins: ["*"], headers: ["a b"]}');
	assert.match(name ?? '', /hub\.cors\.headers: "a b" is not a name/);
	const [lonely] = await wrong('cors: {credentials: true}');
	assert.match(lonely ?? '', /hub\.cors\.credentials: needs hub\.cors\.origins beside it/);
	const [everybody] = await wrong('cors: {origins: "*", credentials: true}');
	assert.match(everybody ?? '', /hub\.cors\.origins: with credentials every site could act/);
	const [star] = await wrong('cors: {origins: ["*", "https://a.example"]}');
	assert.match(star ?? '', /hub\.cors\.origins: \* is every origin: write it alone/);
	const [short] = await wrong('headersTimeout: 1ms');
	assert.match(short ?? '', /hub\.headersTimeout: "1ms" is too short: write at least 100ms/);
});
