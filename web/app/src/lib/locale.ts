/**
 * For what `Intl` says in words, which are to be of the language of everything else here: the reader's own kind of English, or that of
 * Europe. Figures alone are written as the reader writes them.
 */
export const wordsLocale: string | undefined = /^en\b/.test(Intl.DateTimeFormat().resolvedOptions().locale)
  ? undefined
  : "en-GB";
