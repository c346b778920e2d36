import type { FastifyReply } from 'fastify';
import { day, type Html, html, page, won } from '../../html.ts';
import { type ListedProduct, type PageReview, type Product, productsPerPage } from './service.ts';

const tags = (list: string): Html[] =>
  list === '' ? [] : list.split(',').map((tag) => html`<span class="tag">${tag}</span>`);

export function productListPage(
  reply: FastifyReply,
  found: { totCnt: number; prdList: ListedProduct[] },
  cateCd: string | undefined,
  current: number,
): FastifyReply {
  const link = (to: number, text: string): Html =>
    html`<a href="/products?page=${to}${cateCd ? `&cateCd=${cateCd}` : ''}">${text}</a>`;
  const body = html`<p>상품 ${found.totCnt}개</p>
<table>
<tr><th>상품명</th><th>태그</th><th>가격</th></tr>
${found.prdList.map(
  (product) => html`<tr><td><a href="/products/${product.prdNo}">${product.prdNm}</a></td>
<td>${tags(product.tagList)}</td><td class="num prc">${won(product.prc)}</td></tr>
`,
)}</table>
<div class="paging">${current > 1 ? [link(current - 1, '이전')] : []}${
    current * productsPerPage < found.totCnt ? [link(current + 1, '다음')] : []
  }</div>`;
  return page(reply, '상품 목록', body);
}

const review = (one: PageReview): Html => html`<div class="review" id="rvw${one.rvwSeq}">
<span class="star">${(Number(one.starPnt) / 2).toFixed(1)}</span><span class="who">${one.mbrNm} ${day(one.rgstDtm)}</span>
<p>${one.rvwCtnt}</p>
${one.files.map((file) => html`<img src="/photos/${file}" alt="리뷰 사진" loading="lazy">`)}</div>
`;

export function productPage(
  reply: FastifyReply,
  product: Product,
  reviews: readonly PageReview[],
): FastifyReply {
  const body = html`<p>${tags(product.tagList)}</p>
<p class="prc">${won(product.prc)}</p>
<p>재고 ${product.stkQty}개</p>
<h2>리뷰 ${product.rvwCnt}건, 평균 별점 ${product.avgStar}</h2>
${reviews.map(review)}`;
  return page(reply, product.prdNm, body);
}
