/** Ports that a test has to know before anything listens on them. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below those that systems give out by themselves. */
const FIRST = 16_384;
const COUNT = 16_384;

/**
 * A port at which nothing listens, on any address, and which no other test is given while this process lives: files of
 * tests run beside each other.
 */
export async function closedPort(): Promise<number> {
	for (;;) {
		const port = FIRST + randomInt(COUNT);
		if ((await isReserved(port)) && (await isFree(port))) return port;
	}
}

/** Puts this process's name to a port: an abstract socket, which Linux takes back with the process. Elsewhere chance must do. */
async function isReserved(port: number): Promise<boolean> {
	if (process.platform !== 'linux') return true;
	const reservation = createServer().unref();
	return listens(() => reservation.listen(`\0slime-test-port-${port}`), reservation);
}

async function isFree(port: number): Promise<boolean> {
	const server = createServer();
	// All addresses: what listens on any of them would be in the way of a server for all.
	const free = await listens(() => server.listen(port, '0.0.0.0'), server);
	if (!free) return false;
	server.close();
	await once(server, 'close');
	return true;
}

/** Whether it could: false if somebody else has the address. @throws any other fault */
export async function listens(begin: () => void, server: Server): Promise<boolean> {
	begin();
	try {
		await once(server, 'listening');
		return true;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
		throw error;
	}
}
