/** /metrics. prom-client is loaded when somebody asks for the first time: a hub that nobody watches does without. */
import type { Distribution } from './families.ts';
import { type HubReadings, hubFamilies } from './hub-metrics.ts';
import type { Registry } from './metrics.ts';
import { type OpenFiles, openFiles, processFamilies } from './process-metrics.ts';
import type { Route } from './router.ts';

export function metricsRoute(hub: HubReadings, lag: Distribution): Route {
	let files: OpenFiles | null = null;
	let registry: Promise<Registry> | undefined;
	const load = async () => {
		const { registryOf } = await import('./metrics.ts');
		return registryOf([...hubFamilies(hub, lag), ...processFamilies(() => files)]);
	};
	return {
		method: 'GET',
		path: '/metrics',
		handle: async (_req, res) => {
			registry ??= load();
			const loaded = await registry;
			files = await openFiles();
			const text = await loaded.metrics();
			res.writeHead(200, { 'content-type': loaded.contentType, 'cache-control': 'no-store' }).end(text);
		},
	};
}
