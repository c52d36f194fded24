/** What Prometheus says of the metrics, the alert rules and the dashboard's queries. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { findProgram } from '../helpers/peer-process.ts';
import { closedPort } from '../helpers/ports.ts';
import { Scrape } from '../helpers/scraping.ts';
import { ask, stack, upstream } from '../helpers/stack.ts';

const ALERTS = new URL('../../docs/observability/alerts.yaml', import.meta.url).pathname;
const DASHBOARD = new URL('../../docs/observability/dashboard.json', import.meta.url);

function promtool(args: readonly string[], input = ''): void {
	const { status, stdout, stderr } = spawnSync(findProgram('promtool', 'prometheus'), args, {
		input,
		encoding: 'utf8',
		timeout: 30_000,
	});
	assert.equal(status, 0, `${stdout}\n${stderr}`);
}

async function folder(context: TestContext): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), 'slime-prometheus-'));
	context.after(() => rm(path, { recursive: true, force: true }));
	return path;
}

test('promtool finds nothing to say against the metrics of a hub at work', async (context) => {
	const service = await upstream(context, (_req, res) => res.end('ok'));
	const { hub, port, join: joinHub } = await stack(context, [service.address], { hub: { adminPort: 0 } });
	await ask(port);
	await ask(port, '/', { headers: { 'slime-scope': 'nobody' } });
	await joinHub(`127.0.0.1:${await closedPort()}`);
	await ask(port);
	const { text } = await Scrape.of(hub);
	assert.match(text, /^slime_hub_agent_slots\{/m);
	promtool(['check', 'metrics'], text);
});

test('the alert rules load', () => promtool(['check', 'rules', ALERTS]));

test("the dashboard's queries are ones that Prometheus understands", async (context) => {
	const { panels } = JSON.parse(await readFile(DASHBOARD, 'utf8'));
	const targets: { expr: string }[] = panels.flatMap((panel: { targets?: { expr: string }[] }) => panel.targets ?? []);
	const rules = targets.map(({ expr }, number) => ({
		record: `query${number}`,
		expr: expr.replaceAll('$__rate_interval', '1m'),
	}));
	const file = join(await folder(context), 'queries.yaml');
	// JSON is YAML.
	await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
	promtool(['check', 'rules', file]);
});

/** Samples of a series a minute apart, `at` first and then `by` more each time. */
const series = (name: string, at: number, by: number) => ({ series: name, values: `${at}+${by}x30` });
const OF = 'job="slime",instance="hub"';

const CASES: Record<string, { series: object[]; firing: string[] }> = {
	'nothing while all is well': {
		series: [
			series(`slime_hub_requests_total{${OF},outcome="complete",status="2xx"}`, 0, 600),
			series(`slime_hub_requests_total{${OF},outcome="cut",status="2xx"}`, 0, 6),
			series(`slime_hub_tunnels{${OF},state="open"}`, 2, 0),
			series(`slime_hub_draining{${OF}}`, 0, 0),
			series(`slime_hub_agent_set_aside{${OF},agent="a",token="t"}`, 0, 0),
		],
		firing: [],
	},
	'a hub without agents, unless it drains': {
		series: [
			series(`slime_hub_tunnels{${OF},state="open"}`, 0, 0),
			series(`slime_hub_draining{${OF}}`, 0, 0),
			series('slime_hub_tunnels{job="slime",instance="other",state="open"}', 0, 0),
			series('slime_hub_draining{job="slime",instance="other"}', 1, 0),
		],
		firing: ['SlimeHubWithoutAgents'],
	},
	'failing requests and an upstream that is set aside': {
		series: [
			series(`slime_hub_requests_total{${OF},outcome="complete",status="2xx"}`, 0, 600),
			series(`slime_hub_requests_total{${OF},outcome="upstream_unreachable",status="5xx"}`, 0, 60),
			series(`slime_hub_agent_set_aside{${OF},agent="a",token="t"}`, 1, 0),
		],
		firing: ['SlimeHubErrors', 'SlimeAgentUpstreamFails'],
	},
	'an upstream that cannot be reached, as long as it is told': {
		series: [
			series(`slime_hub_agent_upstream_down{${OF},agent="a",token="t",reason="refused"}`, 1, 0),
			{ series: `slime_hub_agent_upstream_down{${OF},agent="b",token="t",reason="refused"}`, values: '1x5 stale' },
		],
		firing: ['SlimeAgentUpstreamDown'],
	},
	'requests that find no worker': {
		series: [
			series(`slime_hub_requests_total{${OF},outcome="complete",status="2xx"}`, 0, 60),
			series(`slime_hub_requests_total{${OF},outcome="busy",status="5xx"}`, 0, 60),
		],
		firing: ['SlimeHubTurnsRequestsAway'],
	},
};

for (const [name, { series: input, firing }] of Object.entries(CASES)) {
	test(`the alert rules tell of ${name}`, async (context) => {
		const { groups } = parse(await readFile(ALERTS, 'utf8'));
		const names: string[] = groups
			.flatMap((group: { rules: { alert: string }[] }) => group.rules)
			.map((rule: { alert: string }) => rule.alert);
		assert.ok(firing.every((alert) => names.includes(alert)));
		// promtool compares labels and annotations too; ALERTS, the series of all alerts, is compared by its names alone.
		const file = join(await folder(context), 'test.yaml');
		const expected = firing.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 }));
		const expr = 'count by (alertname) (ALERTS{alertstate="firing"})';
		const tests = [
			{ interval: '1m', input_series: input, promql_expr_test: [{ expr, eval_time: '25m', exp_samples: expected }] },
		];
		await writeFile(file, JSON.stringify({ rule_files: [ALERTS], evaluation_interval: '1m', tests }));
		promtool(['test', 'rules', file]);
	});
}
