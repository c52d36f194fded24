/** A TCP relay that holds every byte back for a fixed time in each direction, as a long link would; it limits no rate. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** @param oneWay milliseconds @returns the port to connect to instead */
export async function delayRelay(context: TestContext, port: number, oneWay: number): Promise<number> {
	const open = new Set<Socket>();
	const server = createServer({ noDelay: true }, (near) => {
		const far = connect({ port, host: '127.0.0.1', noDelay: true });
		for (const [from, to] of [
			[near, far],
			[far, near],
		] as const) {
			open.add(from);
			from.on('error', () => to.destroy());
			from.on('close', () => open.delete(from));
			pump(from, to, oneWay);
		}
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	context.after(() => {
		server.close();
		for (const socket of open) socket.destroy();
	});
	return (server.address() as AddressInfo).port;
}

/** One timer for all that is under way; the link holds as much as anybody sends. */
function pump(from: Socket, to: Socket, oneWay: number): void {
	const line: Array<{ readonly due: number; readonly chunk: Buffer | null }> = [];
	let timer: NodeJS.Timeout | undefined;
	const deliver = () => {
		timer = undefined;
		const now = performance.now();
		for (let next = line[0]; next !== undefined; next = line[0]) {
			if (next.due > now) {
				timer = setTimeout(deliver, next.due - now);
				return;
			}
			line.shift();
			if (next.chunk === null) to.end();
			else to.write(next.chunk);
		}
	};
	const put = (chunk: Buffer | null) => {
		line.push({ due: performance.now() + oneWay, chunk });
		timer ??= setTimeout(deliver, oneWay);
	};
	from.on('data', put);
	from.on('end', () => put(null));
	from.on('close', () => clearTimeout(timer));
}
