/** The configuration that hub init writes: its keys exist, and what is commented out as a default is one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HUB_TEMPLATE } from '../../../src/cli/hub-template.ts';
import { KEYS } from '../../../src/config/keys.ts';
import { Mistakes } from '../../../src/config/mistakes.ts';
import { readYaml } from '../../../src/config/yaml-file.ts';
import { folder } from '../../helpers/configuring.ts';

const files = { secret: `${'s'.repeat(43)}\n`, 'app-password': `${'p'.repeat(43)}\n` };
const uncommented = HUB_TEMPLATE.replaceAll(/^( *)#([a-zA-Z]+:)/gm, '$1$2');

test('every key of it exists, in use or commented out', () => {
	const mistakes = new Mistakes();
	const { entries } = readYaml(uncommented, 'hub.yaml', mistakes);
	mistakes.raise();
	assert.ok(entries.size > 20);
	for (const key of entries.keys()) assert.ok(KEYS.includes(key), key);
});

test('it says what the defaults are, but for the files beside it', async (t) => {
	const { hub, path } = await folder(t);
	const { settings, warnings } = await hub({ yaml: HUB_TEMPLATE, files });
	const nothing = await hub({ flags: { 'hub.secret': 's'.repeat(43), 'hub.appPassword': 'p'.repeat(43) } });
	assert.deepEqual(settings, { ...nothing.settings, stateDir: `${path}/state` });
	assert.deepEqual(warnings, []);

	// Those that name files which are not there, and what goes with them, are examples.
	const examples = /^ *(?:tlsCert|tlsKey|clientCa|bindIdentity|agentPort|adminTokenFile): .*\n/gm;
	const all = await hub({ yaml: uncommented.replaceAll(examples, ''), files });
	assert.deepEqual(all.settings, { ...settings, adminRequired: true });
});
