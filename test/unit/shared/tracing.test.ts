/** Whether the environment asks for traces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTracingWanted } from '../../../src/shared/tracing.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

test('an endpoint, or an exporter by name, asks for traces', () => {
	for (const env of [
		ENDPOINT,
		{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' },
		{ OTEL_TRACES_EXPORTER: 'otlp' },
		{ OTEL_TRACES_EXPORTER: 'console, otlp' },
		{ ...ENDPOINT, OTEL_SDK_DISABLED: 'false' },
	]) {
		assert.equal(isTracingWanted(env), true, JSON.stringify(env));
	}
});

test('nothing else does, and it can be turned off', () => {
	for (const env of [
		{},
		{ OTEL_SERVICE_NAME: 'x' },
		{ OTEL_EXPORTER_OTLP_ENDPOINT: '' },
		{ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' },
		{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' },
		{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_SDK_DISABLED: 'true' },
	]) {
		assert.equal(isTracingWanted(env), false, JSON.stringify(env));
	}
});
