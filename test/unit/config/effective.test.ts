/** What is in effect, as it is printed: where each value comes from, and no secret. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder } from '../../helpers/configuring.ts';

const SECRETS = {
	secret: 'hunter1 of more than 16',
	previousSecret: 'hunter2 of more than 16',
	appPassword: 'hunter3-of-more-than-16',
	adminToken: 'hunter4-of-more-than-16',
};

test('each value has its source beside it: flag, variable, place in the file, or default', async (t) => {
	const { hub, path } = await folder(t);
	const yaml = `hub:\n  secretFile: secret\n  port: \${PORT:-81}\n  trustedProxies: [loopback, 10.0.0.0/8]\n  queue: {max: 7}\n`;
	const { effective } = await hub({
		yaml,
		files: { secret: SECRETS.secret },
		flags: { 'hub.host': '::1' },
		env: { SLIME_LOG_LEVEL: 'warn', SLIME_HUB_APP_PASSWORD: SECRETS.appPassword },
	});
	const lines = effective().map((line) => line.replaceAll(`${path}/`, ''));
	for (const line of [
		'hub:',
		'  secretFile: secret # slime.yaml:2:15',
		'  host: "::1" # --host',
		'  port: 81 # slime.yaml:3:9 "${PORT:-81}"',
		'  appPassword: "********" # SLIME_HUB_APP_PASSWORD',
		'  trustedProxies: [loopback, 10.0.0.0/8] # slime.yaml:4:19',
		'  queue:',
		'    max: 7 # slime.yaml:5:16',
		'    timeout: 300s # default',
		'    maxBytes: 256MiB # default',
		'log:',
		'  level: warn # SLIME_LOG_LEVEL',
	]) {
		assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
	}
	assert.ok(!lines.some((line) => /^ *(?:secret|tlsCert|origins|agent):/.test(line)), 'nothing that has no value');
});

test('several agents are printed as they are written, and what they have in common once', async (t) => {
	const { agents, path } = await folder(t);
	const yaml = `agent:
  token: hunter1
  hub: https://user:hunter2@h:1/x
agents:
  - upstream: u:1
    labels: {a: "b c", d: "\${D}"}
  - upstream: [u:2, "h2c://me:hunter3@u:3"]
    token: hunter4
    heartbeat: {timeout: 90s}
`;
	const { effective } = await agents({ yaml, env: { D: '$' + '{x}' } });
	const text = effective().join('\n').replaceAll(`${path}/`, '');
	assert.doesNotMatch(text, /hunter/);
	assert.equal(
		text.slice(text.indexOf('agents:')),
		`agents:
  - upstream: [u:1] # slime.yaml:5:15
    labels: ["a=b c", "d=$\${x}"] # slime.yaml:6:13
  - token: "********" # slime.yaml:8:12
    upstream: [u:2, "h2c://********@u:3"] # slime.yaml:7:15
    heartbeat:
      timeout: 90s # slime.yaml:9:26
log:
  level: info # default`,
	);
	assert.match(text, /^ {2}hub: \["https:\/\/\*{8}@h:1\/x"\] # slime\.yaml:3:8$/m);
});

test('what is printed can be read again, and is then in effect', async (t) => {
	const { hub, agents, path } = await folder(t);
	const yaml = `hub:
  appPassword: ${SECRETS.appPassword}
  secretFile: secret
  adminToken: ${SECRETS.adminToken}
  previousSecret: ${SECRETS.previousSecret}
  adminPort: OFF
  bindIdentity: no
  cors: {origins: ["https://a.example"], maxAge: 90m}
  queue: {maxBytes: 1.5MiB, timeout: 1500ms}
  slowStart: 0
  drainTimeout: 1d
agent: {hub: h:1, token: t, agentID: "null", reportHardware: off, scopes: []}
agents: [{upstream: "u:1", labels: {a: "$$\{x}: #", b: "\\\\\\"q"}}, {upstream: "u:2", numWorker: 2, heartbeat: {interval: 1m}}]
`;
	const files = { secret: SECRETS.secret };
	const unmasked = (lines: readonly string[]) => lines.join('\n').replaceAll('********', 'masked-of-more-than-16');
	const masked = 'masked-of-more-than-16';
	const first = await hub({ yaml, files });
	for (const secret of Object.values(SECRETS)) assert.ok(!first.effective().join('\n').includes(secret));
	const again = await hub({ yaml: unmasked(first.effective()) });
	const { secret } = first.settings;
	assert.deepEqual(again.settings, {
		...first.settings,
		secret,
		appPassword: masked,
		adminToken: masked,
		previousSecret: masked,
	});
	const several = await agents({ yaml });
	const severalAgain = await agents({ yaml: unmasked(several.effective()) });
	assert.deepEqual(
		severalAgain.settings,
		several.settings.map((settings) => ({ ...settings, token: masked })),
	);
	assert.equal(several.settings[0]?.labels?.a, '${x}: #');
	assert.ok(first.effective().includes(`  secretFile: ${join(path, 'secret')} # ${join(path, 'slime.yaml')}:3:15`));
});
