/** Several agents in one file: what each says, what it takes from `agent`, and what is wrong with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folder } from '../../helpers/configuring.ts';

const SHARED = 'agent: {token: shared, hub: h:1, numWorker: 2, labels: {site: attic}, heartbeat: {interval: 1s}}';

test('each of several agents has what it says, and for the rest what agent says', async (t) => {
	const { agents } = await folder(t);
	const yaml = `${SHARED}
agents:
  - upstream: u:1
  - upstream: [u:2, u:3]
    numWorker: 4
    tokenFile: own
    scopes: []
    labels:
      gpu: A100
      rank: 1
  - {upstream: "u:4", hub: "h:2", scopes: "chat, images", labels: [a=b], agentID: "own", heartbeat: {timeout: 2s}}
`;
	const { settings } = await agents({ yaml, files: { own: 'ofitsown\n' } });
	const shown = settings.map(({ token, hubs, upstreams, numWorker, scopes, labels, agentID, heartbeat }) => ({
		token,
		hubs,
		upstreams,
		numWorker,
		scopes,
		labels,
		agentID,
		heartbeat,
	}));
	const heartbeat = { interval: 1000, timeout: 5000 };
	const none = { agentID: undefined, scopes: undefined };
	assert.deepEqual(shown, [
		{ ...none, token: 'shared', hubs: ['h:1'], upstreams: ['u:1'], numWorker: 2, labels: { site: 'attic' }, heartbeat },
		{
			...none,
			token: 'ofitsown',
			hubs: ['h:1'],
			upstreams: ['u:2', 'u:3'],
			numWorker: 4,
			scopes: [],
			labels: { gpu: 'A100', rank: '1' },
			heartbeat,
		},
		{
			token: 'shared',
			hubs: ['h:2'],
			upstreams: ['u:4'],
			numWorker: 2,
			scopes: ['chat', 'images'],
			labels: { a: 'b' },
			agentID: 'own',
			heartbeat: { interval: 1000, timeout: 2000 },
		},
	]);
});

test('a flag and a variable stand above each of several agents; an upstream among them replaces the list', async (t) => {
	const { agents } = await folder(t);
	const yaml = `${SHARED}\nagents: [{upstream: "u:1", numWorker: 3, tokenFile: own}, {upstream: "u:2"}]`;
	const written = { yaml, files: { own: 'x' } };
	const flags = { 'agent.numWorker': '9', 'agent.token': 'flag' };
	const { settings } = await agents({ ...written, flags, env: { SLIME_AGENT_LABELS: 'a=b,c=d' } });
	assert.deepEqual(
		settings.map(({ numWorker, token, labels }) => [numWorker, token, labels]),
		Array.from({ length: 2 }, () => [9, 'flag', { a: 'b', c: 'd' }]),
	);
	const alone = await agents({ ...written, env: { SLIME_AGENT_UPSTREAM: 'u:9' } });
	assert.deepEqual(
		alone.settings.map(({ upstreams, numWorker }) => [upstreams, numWorker]),
		[[['u:9'], 2]],
	);
});

test('what is wrong with one of several agents is said where it stands, what is wrong with all of them once', async (t) => {
	const { agents, mistakes } = await folder(t);
	const yaml = `agent:
  token: t
  numWorker: 0
  upstream: u:7
  tlsCert: missing
agents:
  - upstream: nowhere
    hub: h:1
  - upstrem: u:2
    agentID: "?"
    labels: {"": x, a: 1, b: [c]}
  - hub: [h:1, 1]
    upstream: u:1
    stateDir: here
    pin: sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
`;
	const lines = await mistakes(agents({ yaml }));
	const expected = [
		/^slime\.yaml:3:14: agent\.numWorker: "0" is not/,
		/^slime\.yaml:4:13: agent\.upstream: there is a list of agents/,
		/^slime\.yaml:5:12: agent\.tlsCert: cannot read missing/,
		/^slime\.yaml:5:12: agent\.tlsCert: needs agent\.tlsKey beside it/,
		/^slime\.yaml:7:15: agents\[0\]\.upstream: .*nowhere/,
		/^slime\.yaml:9:5: the agent needs the address of a hub: give --hub, SLIME_AGENT_HUB or agents\[1\]\.hub/,
		/^slime\.yaml:9:5: unknown key agents\[1\]\.upstrem; did you mean upstream\?/,
		/^slime\.yaml:10:14: agents\[1\]\.agentID: "\?" is not an agent id/,
		/^slime\.yaml:11:27: agents\[1\]\.labels: takes names with a text each/,
		/^slime\.yaml:12:16: agents\[2\]\.hub: /,
		/^slime\.yaml:14:5: unknown key agents\[2\]\.stateDir/,
		/^slime\.yaml:15:10: agents\[2\]\.pin: needs https/,
	];
	assert.equal(lines.length, expected.length, lines.join('\n'));
	const sorted = lines.toSorted((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
	for (const [index, line] of sorted.entries()) assert.match(line, expected[index] ?? /^$/);
});

function place(line: string): number {
	const [, row, column] = /:(\d+):(\d+):/.exec(line) ?? [];
	return 1000 * Number(row) + Number(column);
}

test('a list of agents has sections, and some', async (t) => {
	const { agents, mistakes } = await folder(t);
	for (const written of ['{}', '[]', 'u:1', '']) {
		const lines = await mistakes(agents({ yaml: `${SHARED}\nagents: ${written}\n` }));
		assert.match(lines.join('\n'), /agents is a list of sections: write a - before/, written);
	}
	const lines = await mistakes(agents({ yaml: `${SHARED}\nagents: [u:1]\n` }));
	assert.match(lines.join('\n'), /^slime\.yaml:2:10: agents\[0\]: is a section/m);
});

test('labels are names with short values, few and different', async (t) => {
	const { agent, mistakes } = await folder(t);
	const base = 'agent:\n  token: t\n  hub: h:1\n  upstream: u:1\n';
	const labels = async (text: string) => (await agent({ yaml: `${base}  labels: ${text}\n` })).settings.labels;
	assert.deepEqual(await labels('a=b, c=d=e'), { a: 'b', c: 'd=e' });
	assert.deepEqual(await labels('{example.com/gpu: "", x: "a,b"}'), { 'example.com/gpu': '', x: 'a,b' });
	for (const wrong of ['a', '{-a: x}', '[a=1, a=2]', `{a: ${'x'.repeat(65)}}`, '{a: "\\n"}', `{${many(17)}}`]) {
		assert.equal((await mistakes(labels(wrong))).length, 1, wrong);
	}
	const long = Array.from({ length: 16 }, (_, index) => `n${index}: ${'é'.repeat(60)}`).join(', ');
	assert.match((await mistakes(labels(`{${long}}`))).join(), /more than 1024 bytes/);
});

function many(count: number): string {
	return Array.from({ length: count }, (_, index) => `n${index}: x`).join(', ');
}
