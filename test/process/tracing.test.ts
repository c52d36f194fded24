/** Traces of hub and agent as processes: asked for by OpenTelemetry's variables alone, and exported before they end. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type CliProcess, runCli, startCli } from '../helpers/cli.ts';
import { Collector } from '../helpers/otlp-collector.ts';
import { ask, upstream, WAITS } from '../helpers/stack.ts';

const SECRET = 'the-secret-that-nobody-may-print';
const OTLP_SECRET = 'the-key-of-the-collector';

function start(context: TestContext, args: readonly string[], env: Record<string, string>): CliProcess {
	const started = startCli(args, { env });
	context.after(async () => {
		started.child.kill('SIGKILL');
		await started.exit;
	});
	return started;
}

test('a hub and an agent export the spans of a request when they are ended, each by the variables that it has', async (t) => {
	const service = await upstream(t, (_req, res) => res.end());
	const collector = await Collector.open(t);
	// So late that it is the end which exports them.
	const otel = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '600000' };
	const env = { SLIME_HUB_SECRET: SECRET };
	const hub = start(t, ['hub', 'run', '--host', '127.0.0.1', '--port', '0', '--adminPort', 'off'], {
		...env,
		...otel,
		OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
		OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${OTLP_SECRET}`,
		OTEL_SERVICE_NAME: 'edge',
	});
	const registered = await runCli(['hub', 'register', '--name', 'gpu-1'], { env });
	const [line] = await hub.output(/^\{.*"the hub listens".*\}$/m);
	const { url, port } = JSON.parse(line);
	const agent = start(t, ['agent', 'run', '--hub', url, '--upstream', service.address, '--agentID', 'gpu-1'], {
		...otel,
		SLIME_AGENT_TOKEN: registered.stdout.trim(),
		SLIME_AGENT_REPORT_HARDWARE: 'false',
	});
	await hub.output(/"agent":"gpu-1"/);
	// The hub may not know yet how many workers the agent has.
	assert.equal((await ask(port, '/v1/models', { headers: WAITS })).status, 200);
	assert.equal(collector.requests, 0);

	agent.child.kill('SIGTERM');
	assert.equal((await agent.exit).code, 0, agent.stdout);
	assert.equal(collector.protobuf.length, 1);
	const bytes = collector.protobuf[0]?.toString('latin1') ?? '';
	for (const text of ['slime-agent', 'upstream', 'first byte', 'slime.request_id']) {
		assert.ok(bytes.includes(text), `${text} is in what the agent exported`);
	}

	hub.child.kill('SIGTERM');
	assert.equal((await hub.exit).code, 0, hub.stdout);
	const names = collector.spans
		.map(({ service: name, name: span }) => `${name} ${span}`)
		.filter((name) => name !== 'edge queue');
	assert.deepEqual(names.sort(), ['edge GET', 'edge first byte', 'edge tunnel']);
	assert.equal(collector.authorization, `Bearer ${OTLP_SECRET}`);
	for (const { stdout, stderr } of [hub, agent]) {
		assert.ok(!`${stdout}${stderr}`.includes(OTLP_SECRET), 'a secret was printed');
	}
});
