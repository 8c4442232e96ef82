/** Names of all signals and of the learner, for settings: light to load. The test keeps it equal to signals.ts. */
export const SIGNAL_NAMES = (
  "answer attached-page attached-program bad-date broken-html broken-signature bulk-no-way-out " +
  "date-ahead date-behind double-extension encoded-text first-contact foreign-charset " +
  "forged-author forged-hop forged-outlook from-broken from-digits from-pretends hidden-text " +
  "html-active html-form html-only images-only known-author labelled-advert link-cheap " +
  "link-elsewhere link-escaped link-file link-lookalike link-mail link-number link-port " +
  "link-shortened link-user list-mail listed literal-hello loud-html mass-mailer misspelt-fields " +
  "mixed-scripts nameless-hop no-charset no-date no-message-id no-recipient odd-message-id " +
  "odd-recipient path-elsewhere path-refused plain-text proven-author provider-not-seen quoting " +
  "raw-header reply-elsewhere reported-copy reputation-address reputation-domain " +
  "reputation-network reputation-signer says-adult says-capitals says-click says-cure says-dear " +
  "says-exclaiming says-lists says-loan says-money says-no-spam says-offer says-removal " +
  "says-transfer signed sorted-recipients split-words subject-addressed subject-capitals " +
  "subject-gaps subject-marks subject-missing subject-serial technical unknown-tags " +
  "unseen-characters urgent watched-images learner"
).split(" ");
