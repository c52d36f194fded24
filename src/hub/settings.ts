/** What the parts of a hub are told, out of the hub's options: at its start and whenever those change. */

import type { DispatcherOptions } from '../dispatch/dispatcher.ts';
import type { AcceptorSettings } from './acceptor.ts';
import { AccessLog } from './access-log.ts';
import { Cors } from './cors.ts';
import type { GatewaySettings } from './gateway.ts';
import type { HubOptions } from './options.ts';
import { Upgrades } from './upgrades.ts';

export interface Settings {
	readonly dispatcher: DispatcherOptions;
	readonly gateway: GatewaySettings;
	readonly acceptor: Omit<AcceptorSettings, 'tokens'>;
}

/** @throws UsageError for what makes no sense */
export function settingsOf(options: HubOptions): Settings {
	const { concurrent, queue, setAsideAfter, setAsideLast, slowStart, firstByteTimeout, retryIdempotent, heartbeat } =
		options;
	const { tls, clientAuth, bindIdentity, logger } = options;
	return {
		dispatcher: { concurrent, queue, standing: { setAsideAfter, setAsideLast, slowStart } },
		gateway: {
			upgrades: new Upgrades(options.upgrades),
			cors: options.cors ? new Cors(options.cors) : null,
			queue,
			firstByteTimeout,
			retryIdempotent,
			accessLog: AccessLog.of(options.accessLog, logger),
		},
		acceptor: {
			heartbeat,
			certificates: tls?.clientCa !== undefined && clientAuth !== 'optional',
			bindIdentity,
			tokenExpiry: options.tokenExpiry,
		},
	};
}
