/** All signals, each in its own file. Who adds one adds it here and to its test. */
import type { Signal } from "./signal.ts";
import { answer } from "./signals/answer.ts";
import { attachedPage } from "./signals/attached_page.ts";
import { attachedProgram } from "./signals/attached_program.ts";
import { badDate } from "./signals/bad_date.ts";
import { brokenHtml } from "./signals/broken_html.ts";
import { brokenSignature } from "./signals/broken_signature.ts";
import { bulkNoWayOut } from "./signals/bulk_no_way_out.ts";
import { dateAhead } from "./signals/date_ahead.ts";
import { dateBehind } from "./signals/date_behind.ts";
import { doubleExtension } from "./signals/double_extension.ts";
import { encodedText } from "./signals/encoded_text.ts";
import { firstContact } from "./signals/first_contact.ts";
import { foreignCharset } from "./signals/foreign_charset.ts";
import { forgedAuthor } from "./signals/forged_author.ts";
import { forgedHop } from "./signals/forged_hop.ts";
import { forgedOutlook } from "./signals/forged_outlook.ts";
import { fromBroken } from "./signals/from_broken.ts";
import { fromDigits } from "./signals/from_digits.ts";
import { fromPretends } from "./signals/from_pretends.ts";
import { hiddenText } from "./signals/hidden_text.ts";
import { htmlActive } from "./signals/html_active.ts";
import { htmlForm } from "./signals/html_form.ts";
import { htmlOnly } from "./signals/html_only.ts";
import { imagesOnly } from "./signals/images_only.ts";
import { knownAuthor } from "./signals/known_author.ts";
import { labelledAdvert } from "./signals/labelled_advert.ts";
import { linkCheap } from "./signals/link_cheap.ts";
import { linkElsewhere } from "./signals/link_elsewhere.ts";
import { linkEscaped } from "./signals/link_escaped.ts";
import { linkFile } from "./signals/link_file.ts";
import { linkLookalike } from "./signals/link_lookalike.ts";
import { linkMail } from "./signals/link_mail.ts";
import { linkNumber } from "./signals/link_number.ts";
import { linkPort } from "./signals/link_port.ts";
import { linkShortened } from "./signals/link_shortened.ts";
import { linkUser } from "./signals/link_user.ts";
import { listMail } from "./signals/list_mail.ts";
import { listed } from "./signals/listed.ts";
import { literalHello } from "./signals/literal_hello.ts";
import { loudHtml } from "./signals/loud_html.ts";
import { massMailer } from "./signals/mass_mailer.ts";
import { misspeltFields } from "./signals/misspelt_fields.ts";
import { mixedScripts } from "./signals/mixed_scripts.ts";
import { namelessHop } from "./signals/nameless_hop.ts";
import { noCharset } from "./signals/no_charset.ts";
import { noDate } from "./signals/no_date.ts";
import { noMessageId } from "./signals/no_message_id.ts";
import { noRecipient } from "./signals/no_recipient.ts";
import { oddMessageId } from "./signals/odd_message_id.ts";
import { oddRecipient } from "./signals/odd_recipient.ts";
import { pathElsewhere } from "./signals/path_elsewhere.ts";
import { pathRefused } from "./signals/path_refused.ts";
import { plainText } from "./signals/plain_text.ts";
import { provenAuthor } from "./signals/proven_author.ts";
import { providerNotSeen } from "./signals/provider_not_seen.ts";
import { quoting } from "./signals/quoting.ts";
import { rawHeader } from "./signals/raw_header.ts";
import { replyElsewhere } from "./signals/reply_elsewhere.ts";
import { reportedCopy } from "./signals/reported_copy.ts";
import { reputationAddress } from "./signals/reputation_address.ts";
import { reputationDomain } from "./signals/reputation_domain.ts";
import { reputationNetwork } from "./signals/reputation_network.ts";
import { reputationSigner } from "./signals/reputation_signer.ts";
import { saysAdult } from "./signals/says_adult.ts";
import { saysCapitals } from "./signals/says_capitals.ts";
import { saysClick } from "./signals/says_click.ts";
import { saysCure } from "./signals/says_cure.ts";
import { saysDear } from "./signals/says_dear.ts";
import { saysExclaiming } from "./signals/says_exclaiming.ts";
import { saysLists } from "./signals/says_lists.ts";
import { saysLoan } from "./signals/says_loan.ts";
import { saysMoney } from "./signals/says_money.ts";
import { saysNoSpam } from "./signals/says_no_spam.ts";
import { saysOffer } from "./signals/says_offer.ts";
import { saysRemoval } from "./signals/says_removal.ts";
import { saysTransfer } from "./signals/says_transfer.ts";
import { signed } from "./signals/signed.ts";
import { sortedRecipients } from "./signals/sorted_recipients.ts";
import { splitWords } from "./signals/split_words.ts";
import { subjectAddressed } from "./signals/subject_addressed.ts";
import { subjectCapitals } from "./signals/subject_capitals.ts";
import { subjectGaps } from "./signals/subject_gaps.ts";
import { subjectMarks } from "./signals/subject_marks.ts";
import { subjectMissing } from "./signals/subject_missing.ts";
import { subjectSerial } from "./signals/subject_serial.ts";
import { technical } from "./signals/technical.ts";
import { unknownTags } from "./signals/unknown_tags.ts";
import { unseenCharacters } from "./signals/unseen_characters.ts";
import { urgent } from "./signals/urgent.ts";
import { watchedImages } from "./signals/watched_images.ts";

export const SIGNALS: readonly Signal[] = [
  answer,
  attachedPage,
  attachedProgram,
  badDate,
  brokenHtml,
  brokenSignature,
  bulkNoWayOut,
  dateAhead,
  dateBehind,
  doubleExtension,
  encodedText,
  firstContact,
  foreignCharset,
  forgedAuthor,
  forgedHop,
  forgedOutlook,
  fromBroken,
  fromDigits,
  fromPretends,
  hiddenText,
  htmlActive,
  htmlForm,
  htmlOnly,
  imagesOnly,
  knownAuthor,
  labelledAdvert,
  linkCheap,
  linkElsewhere,
  linkEscaped,
  linkFile,
  linkLookalike,
  linkMail,
  linkNumber,
  linkPort,
  linkShortened,
  linkUser,
  listMail,
  listed,
  literalHello,
  loudHtml,
  massMailer,
  misspeltFields,
  mixedScripts,
  namelessHop,
  noCharset,
  noDate,
  noMessageId,
  noRecipient,
  oddMessageId,
  oddRecipient,
  pathElsewhere,
  pathRefused,
  plainText,
  provenAuthor,
  providerNotSeen,
  quoting,
  rawHeader,
  replyElsewhere,
  reportedCopy,
  reputationAddress,
  reputationDomain,
  reputationNetwork,
  reputationSigner,
  saysAdult,
  saysCapitals,
  saysClick,
  saysCure,
  saysDear,
  saysExclaiming,
  saysLists,
  saysLoan,
  saysMoney,
  saysNoSpam,
  saysOffer,
  saysRemoval,
  saysTransfer,
  signed,
  sortedRecipients,
  splitWords,
  subjectAddressed,
  subjectCapitals,
  subjectGaps,
  subjectMarks,
  subjectMissing,
  subjectSerial,
  technical,
  unknownTags,
  unseenCharacters,
  urgent,
  watchedImages,
];
