/** What a hub warns of when others than this machine can reach it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHub } from '../../../src/index.ts';
import { LogSink, SECRET } from '../../helpers/stack.ts';

async function warnings(options: { host: string; appPassword?: string }): Promise<string[]> {
	const log = new LogSink();
	const hub = await createHub({ secret: SECRET, port: 0, adminPort: 'off', logger: log.logger, ...options });
	await hub.close();
	return log.lines.filter(({ level }) => level === 'warn').map(({ msg }) => String(msg));
}

test('an open hub without TLS is warned of for both', async () => {
	const [open, plain, ...others] = await warnings({ host: '0.0.0.0' });
	assert.match(open ?? '', /without an appPassword or keys: everybody who reaches it may use it$/);
	assert.match(plain ?? '', /without TLS: set tlsCert and tlsKey/);
	assert.deepEqual(others, []);
});

test('a hub with an app password is warned of for TLS alone', async () => {
	const [plain, ...others] = await warnings({ host: '0.0.0.0', appPassword: 'an app password for tests' });
	assert.match(plain ?? '', /without TLS/);
	assert.deepEqual(others, []);
});

test('a hub that only this machine reaches is not warned of', async () => {
	assert.deepEqual(await warnings({ host: '127.0.0.1' }), []);
});
