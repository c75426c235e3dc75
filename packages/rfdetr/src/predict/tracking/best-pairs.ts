// The assignment problem in TypeScript, for tracking, which runs on the caller's thread without libtorch. Where
// libtorch is loaded, `loss/linear-assignment.ts` solves it. No import of Node.

/**
 * Pairs rows with columns so that the sum of their values is the greatest, each row and column at most once: the
 * shortest augmenting paths of Jonker and Volgenant, in the rectangular form of Crouse (2016, IEEE Transactions on
 * Aerospace and Electronic Systems 52(4)).
 * @param values a row of values for each row, all of one length
 * @returns the column of each row, or -1; with more rows than columns some rows have none
 */
export function bestPairs(values: readonly (readonly number[])[]): number[] {
  const rows = values.length;
  const columns = values[0]?.length ?? 0;
  if (rows <= columns) return bestColumns(values, columns);
  const turned = Array.from({ length: columns }, (_, j) => values.map((row) => row[j]));
  const found = new Array<number>(rows).fill(-1);
  for (const [column, row] of bestColumns(turned, rows).entries()) found[row] = column;
  return found;
}

/** As {@link bestPairs}, for no more rows than columns. */
function bestColumns(values: readonly (readonly number[])[], columns: number): number[] {
  const rowOf = new Array<number>(columns).fill(-1);
  const columnOf = new Array<number>(values.length).fill(-1);
  const rowPrice = new Array<number>(values.length).fill(0);
  const columnPrice = new Array<number>(columns).fill(0);
  for (let start = 0; start < values.length; start++) {
    const cost = new Array<number>(columns).fill(Number.POSITIVE_INFINITY);
    const from = new Array<number>(columns).fill(-1);
    const done = new Set<number>();
    const visited = [start];
    let row = start;
    let lowest = 0;
    let end = -1;
    while (end < 0) {
      let next = -1;
      for (let column = 0; column < columns; column++) {
        if (done.has(column)) continue;
        const through = lowest - values[row][column] - rowPrice[row] - columnPrice[column];
        if (through < cost[column]) [cost[column], from[column]] = [through, row];
        const better = next < 0 || cost[column] < cost[next];
        if (better || (cost[column] === cost[next] && rowOf[column] < 0)) next = column;
      }
      lowest = cost[next];
      done.add(next);
      if (rowOf[next] < 0) end = next;
      else {
        row = rowOf[next];
        visited.push(row);
      }
    }
    for (const seen of visited) rowPrice[seen] += seen === start ? lowest : lowest - cost[columnOf[seen]];
    for (const column of done) columnPrice[column] -= lowest - cost[column];
    for (let column = end; ; ) {
      const owner = from[column];
      const before = columnOf[owner];
      rowOf[column] = owner;
      columnOf[owner] = column;
      if (owner === start) break;
      column = before;
    }
  }
  return columnOf;
}
