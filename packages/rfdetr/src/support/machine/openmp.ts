// How the threads of OpenMP wait for each other.

/** Number of times that a waiting thread checks before it sleeps. */
export const spinCount = "10000";

/**
 * Lets waiting threads of libgomp sleep soon, unless the user has set a policy. By default they spin for milliseconds
 * at the end of every operator. That costs nothing on an idle machine, but beside another job on the same cores a
 * step takes up to a hundred times as long (measured on two cores); with this setting it takes two to four times as
 * long. The addon's own team (`native/team.h`) takes most regions from libgomp, and has limits of its own. libgomp
 * reads the setting once, when libtorch loads: call this before, on the main thread.
 */
export function letThreadsSleep(): void {
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= spinCount;
}
