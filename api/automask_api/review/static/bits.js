// What the bits of a document's planes mean; see `MaskDocument`.

export const KIND_BITS = 7;
export const ADD = 8;
export const REMOVE = 16;
export const WEIGHT = 32;
/** In the plane of holes: beside a bit for each kind. */
export const ADDED_HOLE = 128;
