/** The data cannot be used as it is: which file or annotation, what was expected, what to do. */
export class DatasetError extends Error {
  readonly code = "ERR_DATA";
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DatasetError";
  }
}
