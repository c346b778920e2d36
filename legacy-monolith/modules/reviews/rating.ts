/** Half stars as the mean of whole ones, with one digit: "4.3"; "0.0" when there are none. */
export const averageStars = (halfStars: number, count: number): string =>
  count === 0 ? '0.0' : (halfStars / count / 2).toFixed(1);
