/** docs/openapi.json as a document: valid, of this version, shipped, and of the same routes as the code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { type ApiHub, apiRoutes } from '../../../src/admin/api.ts';
import { probeRoutes } from '../../../src/admin/probes.ts';
import { version } from '../../../src/shared/version.ts';
import { DOCUMENT } from '../../helpers/admin-api.ts';

test('the API’s description is valid OpenAPI 3.1, of this version, and in the package', async () => {
	const validator = new Validator();
	const { valid, errors } = await validator.validate(JSON.parse(JSON.stringify(DOCUMENT)));
	assert.ok(valid, JSON.stringify(errors, null, 1));
	assert.equal(validator.version, '3.1');
	assert.equal(DOCUMENT.info.version, version);
	const { files } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
	assert.ok(files.includes('docs'), JSON.stringify(files));
});

test('every route is described, and every description has a route', () => {
	const routes = [...probeRoutes(() => 'ready'), { method: 'GET', path: '/metrics' }, ...apiRoutes({} as ApiHub)];
	const described = Object.entries(DOCUMENT.paths).flatMap(([path, item]) =>
		Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
	);
	assert.deepEqual(described.sort(), routes.map(({ method, path }) => `${method} ${path}`).sort());
	const ids = Object.values(DOCUMENT.paths).flatMap((item) => Object.values(item).map((one) => one.operationId));
	assert.equal(new Set(ids).size, ids.length);
});
