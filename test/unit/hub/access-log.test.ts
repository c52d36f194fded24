/** Which requests get a line in the access log, and how long what applications chose may be in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCESS_LOG_FIELDS, type AccessLogOptions } from '../../../src/config/access-log.ts';
import { AccessLog } from '../../../src/hub/access-log.ts';
import { createLogger } from '../../../src/shared/logger.ts';

const lines: Record<string, unknown>[] = [];
const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) });

function log(options: Partial<AccessLogOptions>): AccessLog {
	const made = AccessLog.of({ sample: 0, errors: false, fields: ACCESS_LOG_FIELDS, ...options }, logger);
	assert.ok(made !== null);
	return made;
}

test('there is none where nothing is to be logged', () => {
	assert.equal(AccessLog.of({ sample: 0, errors: false, fields: ACCESS_LOG_FIELDS }, logger), null);
});

test('a share of requests gets a line, at random', () => {
	const some = log({ sample: 0.2 });
	const wanted = Array.from({ length: 10_000 }, () => some.wants('complete', 200)).filter(Boolean).length;
	assert.ok(wanted > 1700 && wanted < 2300, `${wanted} of 10000`);
	assert.ok(Array.from({ length: 1000 }, () => log({ sample: 1 }).wants('complete', 200)).every(Boolean));
});

test('errors get one in any case, an app that left is none', () => {
	const errors = log({ errors: true });
	for (const [outcome, status] of [
		['busy', 503],
		['unauthorized', 401],
		['cut', 200],
		['complete', 500],
	] as const) {
		assert.equal(errors.wants(outcome, status), true, `${outcome} ${status}`);
	}
	for (const [outcome, status] of [
		['complete', 200],
		['complete', 429],
		['app_gone', undefined],
		['app_gone', 200],
	] as const) {
		assert.equal(errors.wants(outcome, status), false, `${outcome} ${status}`);
	}
});

test('what applications chose is cut where it would fill the log', () => {
	const path = `/${'p'.repeat(60_000)}`;
	log({ sample: 1 }).write({ address: 'a', path, scope: 's'.repeat(60_000), status: 503, outcome: 'busy', totalMs: 1 });
	assert.ok(JSON.stringify(lines.at(-1)).length < 3000);
	assert.equal(lines.at(-1)?.path, path.slice(0, 1024));
});
