/** Opens a server where it was told to: at an address, or on a listening socket that this process was given. */
import type { AddressInfo, Server } from 'node:net';
import { UsageError } from './errors.ts';

export type ListenAddress =
	| { readonly host: string; readonly port: number }
	/** The file descriptor of a socket that listens already. */
	| { readonly fd: number };

/**
 * @param backlog connections that may wait to be accepted; of a given socket too, which Node would set to 511 otherwise
 * @throws the system's error when the address cannot be listened on; UsageError for a descriptor that is no TCP socket
 */
export async function listenAt(server: Server, where: ListenAddress, backlog = 511): Promise<AddressInfo> {
	try {
		await new Promise<void>((resolve, reject) => {
			server.once('error', reject);
			const listening = () => {
				server.off('error', reject);
				resolve();
			};
			if ('fd' in where) server.listen({ fd: where.fd }, backlog, listening);
			else server.listen({ ...where, backlog }, listening);
		});
	} catch (error) {
		if ('fd' in where) throw new UsageError(`file descriptor ${where.fd} is no socket to listen on`, { cause: error });
		throw error;
	}
	const address = server.address();
	if (typeof address === 'object' && address !== null) return address;
	server.close();
	throw new UsageError('a Unix socket was passed: only sockets with an address and a port are served');
}
