/** The keys, their variables, and the example configuration that holds them all. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { closest } from '../../../src/config/closest.ts';
import { KEYS, SECRETS, VARIABLES, variableOf } from '../../../src/config/keys.ts';
import { Mistakes } from '../../../src/config/mistakes.ts';
import { readYaml } from '../../../src/config/yaml-file.ts';
import { folder } from '../../helpers/configuring.ts';

const example = await readFile(new URL('../../../config.example.yaml', import.meta.url), 'utf8');

test('variables are the keys in screaming snake case, each of one key', () => {
	assert.equal(variableOf('hub.queue.maxBytes'), 'SLIME_HUB_QUEUE_MAX_BYTES');
	assert.equal(variableOf('agent.agentID'), 'SLIME_AGENT_AGENT_ID');
	assert.equal(variableOf('hub.secretFile'), 'SLIME_HUB_SECRET_FILE');
	assert.equal(variableOf('hub.maxConnectionsPerAddress'), 'SLIME_HUB_MAX_CONNECTIONS_PER_ADDRESS');
	assert.equal(variableOf('log.level'), 'SLIME_LOG_LEVEL');
	assert.equal(VARIABLES.size, KEYS.length);
});

test('every secret can be given as a file', () => {
	assert.deepEqual(SECRETS, [
		'hub.secret',
		'hub.previousSecret',
		'hub.appPassword',
		'hub.keys[].key',
		'hub.adminToken',
		'agent.token',
		'agent.upstreamToken',
		'agents[].token',
		'agents[].upstreamToken',
	]);
});

test('the example configuration holds every key, in use or commented out, with a line about each', () => {
	const mistakes = new Mistakes();
	const all = readYaml(example.replaceAll(/^( *)#([a-zA-Z]+:)/gm, '$1$2'), 'config.example.yaml', mistakes);
	mistakes.raise();
	assert.deepEqual([...all.entries.keys()].sort(), [...KEYS].sort());
	const several = example.replaceAll(/^(?:(?= {2})( {2})|)# (?=agents:|keys:| {2,})/gm, '$1');
	const { lists } = readYaml(several, 'config.example.yaml', mistakes);
	mistakes.raise();
	assert.equal(lists.get('agents'), 2);
	assert.equal(lists.get('hub.keys'), 2);
	const lines = example.split('\n');
	for (const [index, line] of lines.entries()) {
		if (/^ +#?[a-zA-Z]+: ./.test(line)) assert.match(lines[index - 1] ?? '', /^ +# /, `nothing is said about ${line}`);
	}
});

test('the example configuration says what the defaults are', async (t) => {
	const { hub, agent } = await folder(t);
	const flags = { 'hub.secret': 'x'.repeat(32) };
	const fromExample = await hub({ yaml: example, flags });
	const fromNothing = await hub({ flags });
	// Written down, the admin port is the user's choice.
	assert.deepEqual(fromExample.settings, { ...fromNothing.settings, adminRequired: true });
	const agentFlags = { 'agent.token': 't', 'agent.hub': 'hub:1', 'agent.upstream': 'up:1' };
	const settings = async (yaml?: string) => (await agent({ ...(yaml && { yaml }), flags: agentFlags })).settings;
	assert.deepEqual(await settings(example), await settings());
});

test('a word is taken for the nearest one, if that is near', () => {
	const words = ['port', 'host', 'adminPort', 'agentID'];
	assert.equal(closest('prot', words), 'port');
	assert.equal(closest('admin-port', words), 'adminPort');
	assert.equal(closest('agentId', words), 'agentID');
	assert.equal(closest('banana', words), undefined);
	assert.equal(closest('', words), undefined);
});
