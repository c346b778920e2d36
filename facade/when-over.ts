// When an answer is over, however it ends.
import type { ServerResponse } from 'node:http';

/** Once: the answer has gone out, or nobody waits for it any more. */
export function whenOver(response: ServerResponse, over: () => void): void {
  // Behind another answer on its connection a response has no socket yet, and would not be told.
  const connection = response.socket ? undefined : response.req.socket;
  const end = () => {
    response.off('close', end);
    connection?.off('close', end);
    over();
  };
  response.once('close', end);
  connection?.once('close', end);
}
