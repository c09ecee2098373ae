// Decimal texts in; their exact sums, products and order out. Whole numbers of any size do it.

function parse(text) {
  const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  return { digits: BigInt(sign + whole + part), scale: part.length };
}

function write(digits, scale) {
  const negative = digits < 0n;
  const text = (negative ? -digits : digits).toString().padStart(scale + 1, "0");
  const cut = text.length - scale;
  const part = text.slice(cut).replace(/0+$/, "");
  const plain = part ? `${text.slice(0, cut)}.${part}` : text.slice(0, cut);
  return negative && digits ? `-${plain}` : plain;
}

function level(one, two) {
  const scale = Math.max(one.scale, two.scale);
  const raise = (each) => each.digits * 10n ** BigInt(scale - each.scale);
  return [raise(one), raise(two), scale];
}

export function add(one, two) {
  const [left, right, scale] = level(parse(one), parse(two));
  return write(left + right, scale);
}

export function subtract(one, two) {
  const [left, right, scale] = level(parse(one), parse(two));
  return write(left - right, scale);
}

export function multiply(one, two) {
  const [left, right] = [parse(one), parse(two)];
  return write(left.digits * right.digits, left.scale + right.scale);
}

/** Below 0, 0 or above, as for sorting. */
export function compare(one, two) {
  const [left, right] = level(parse(one), parse(two));
  return left < right ? -1 : left > right ? 1 : 0;
}

export const greatest = (one, two) => (compare(one, two) >= 0 ? one : two);
export const least = (one, two) => (compare(one, two) <= 0 ? one : two);

export function total(texts) {
  return texts.reduce(add, "0");
}
