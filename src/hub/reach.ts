/** How a hub is reached from this machine, and whether it can be from others. Pure but for warnings. */
import type { AddressInfo } from 'node:net';
import type { AppAuth } from '../auth/app-auth.ts';
import type { Bound } from './listeners.ts';
import type { HubOptions } from './options.ts';

/** With an address that a client on this machine can connect to. */
export function urlOf({ address, port }: AddressInfo, { tls }: HubOptions): string {
	const any = address === '0.0.0.0' || address === '::';
	const host = any ? '127.0.0.1' : address.includes(':') ? `[${address}]` : address;
	return `${tls ? 'https' : 'http'}://${host}:${port}`;
}

export function warnIfExposed({ tls, logger }: HubOptions, { open }: AppAuth, { apps, agents }: Bound): void {
	const host = apps.address;
	if (!isLoopback(host)) {
		if (open) {
			logger.warn(
				{ host },
				'this hub listens beyond loopback without an appPassword or keys: everybody who reaches it may use it',
			);
		}
		if (tls === undefined) {
			logger.warn(
				{ host },
				'this hub listens beyond loopback without TLS: set tlsCert and tlsKey, or let a TLS proxy in front of it do so',
			);
		}
	} else if (agents && !isLoopback(agents.address) && tls === undefined) {
		logger.warn(
			{ agentHost: agents.address },
			'this hub listens for agents beyond loopback without TLS: set tlsCert and tlsKey, or let a TLS proxy in front of it do so',
		);
	}
}

function isLoopback(address: string): boolean {
	return address === '::1' || address.startsWith('127.');
}
