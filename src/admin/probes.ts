/** What orchestrators and load balancers ask: is the hub alive, may it be sent requests. */
import { answerText, type Route } from './router.ts';

/** Whether new requests are welcome, or why they are not. */
export type Readiness = 'ready' | 'draining' | 'no agent';

export function probeRoutes(readiness: () => Readiness): readonly Route[] {
	return [
		{ method: 'GET', path: '/healthz', open: true, handle: (_req, res) => answerText(res, 200, 'ok') },
		{
			method: 'GET',
			path: '/readyz',
			open: true,
			handle: (_req, res) => {
				const state = readiness();
				answerText(res, state === 'ready' ? 200 : 503, state);
			},
		},
	];
}
