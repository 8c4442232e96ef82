CREATE TABLE `accounts` (
	`id` integer PRIMARY KEY NOT NULL,
	`address` text NOT NULL,
	`domain` text NOT NULL,
	`display_name` text NOT NULL,
	`password_hash` text,
	`enabled` integer NOT NULL,
	`send_as` text NOT NULL,
	`created_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `accounts_address` ON `accounts` (`address`);--> statement-breakpoint
CREATE INDEX `accounts_domain` ON `accounts` (`domain`,`address`);--> statement-breakpoint
CREATE TABLE `alias_targets` (
	`target` text NOT NULL,
	`address` text NOT NULL,
	PRIMARY KEY(`target`, `address`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `aliases` (
	`address` text PRIMARY KEY NOT NULL,
	`domain` text NOT NULL,
	`targets` text NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `aliases_domain` ON `aliases` (`domain`,`address`);--> statement-breakpoint
CREATE TABLE `contents` (
	`id` integer PRIMARY KEY NOT NULL,
	`refs` integer NOT NULL,
	`segment` integer NOT NULL,
	`offset` integer NOT NULL,
	`length` integer NOT NULL,
	`header_octets` integer NOT NULL,
	`sent_at` integer,
	`imap` blob NOT NULL,
	`preview` text NOT NULL,
	`subject` text NOT NULL,
	`sender` text NOT NULL,
	`message_id` text,
	`reference_ids` text NOT NULL,
	`trace_id` text NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `contents_free` ON `contents` (`id`) WHERE refs = 0;--> statement-breakpoint
CREATE TABLE `counters` (
	`name` text PRIMARY KEY NOT NULL,
	`value` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `domains` (
	`name` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`next_hop` text NOT NULL,
	`catch_all` text NOT NULL,
	`subaddress_separators` text NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `expunged` (
	`mailbox_id` integer NOT NULL,
	`modseq` integer NOT NULL,
	`uid` integer NOT NULL,
	PRIMARY KEY(`mailbox_id`, `modseq`, `uid`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `mailboxes` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`name` text NOT NULL,
	`uid_validity` integer NOT NULL,
	`uid_next` integer NOT NULL,
	`highest_modseq` integer NOT NULL,
	`messages` integer NOT NULL,
	`unseen` integer NOT NULL,
	`deleted` integer NOT NULL,
	`size_octets` integer NOT NULL,
	`recent_uid` integer NOT NULL,
	`special_use` text,
	`selectable` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `mailboxes_name` ON `mailboxes` (`account_id`,`name`);--> statement-breakpoint
CREATE TABLE `messages` (
	`mailbox_id` integer NOT NULL,
	`uid` integer NOT NULL,
	`modseq` integer NOT NULL,
	`flags` integer NOT NULL,
	`keywords` text NOT NULL,
	`internal_date` integer NOT NULL,
	`saved_at` integer NOT NULL,
	`size_octets` integer NOT NULL,
	`content_id` integer NOT NULL,
	`prefix` blob NOT NULL,
	PRIMARY KEY(`mailbox_id`, `uid`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `queue_messages` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`content_id` integer NOT NULL,
	`sender` text NOT NULL,
	`account_id` integer,
	`envelope_id` text NOT NULL,
	`ret` text NOT NULL,
	`eight_bit` integer NOT NULL,
	`smtputf8` integer NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `queue_recipients` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`queue_id` integer NOT NULL,
	`recipient` text NOT NULL,
	`destination` text NOT NULL,
	`notify` text NOT NULL,
	`original_recipient` text NOT NULL,
	`held` integer NOT NULL,
	`attempts` integer NOT NULL,
	`next_attempt_at` integer NOT NULL,
	`delay_notified` integer NOT NULL,
	`last_reply` text NOT NULL,
	`last_remote` text NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `queue_recipients_due` ON `queue_recipients` (`next_attempt_at`,`id`) WHERE held = 0;--> statement-breakpoint
CREATE INDEX `queue_recipients_message` ON `queue_recipients` (`queue_id`);--> statement-breakpoint
CREATE INDEX `queue_recipients_destination` ON `queue_recipients` (`destination`,`next_attempt_at`);--> statement-breakpoint
CREATE TABLE `retired_names` (
	`account_id` integer NOT NULL,
	`name` text NOT NULL,
	`uid_validity` integer NOT NULL,
	PRIMARY KEY(`account_id`, `name`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `segment_dead` (
	`segment` integer PRIMARY KEY NOT NULL,
	`octets` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `subscriptions` (
	`account_id` integer NOT NULL,
	`name` text NOT NULL,
	PRIMARY KEY(`account_id`, `name`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `tokens` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`scopes` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_hash` ON `tokens` (`hash`);