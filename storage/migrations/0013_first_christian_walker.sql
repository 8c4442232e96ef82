CREATE TABLE `spam_journal` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`spam` integer NOT NULL,
	`ham` integer NOT NULL,
	`tokens` blob NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `spam_journal_account` ON `spam_journal` (`account_id`,`id`);--> statement-breakpoint
CREATE TABLE `spam_knowledge` (
	`account_id` integer PRIMARY KEY NOT NULL,
	`up_to` integer NOT NULL,
	`octets` blob NOT NULL
) STRICT;
--> statement-breakpoint
CREATE TABLE `spam_lessons` (
	`account_id` integer NOT NULL,
	`key` text NOT NULL,
	`kind` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`account_id`, `key`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `spam_lessons_at` ON `spam_lessons` (`at`);--> statement-breakpoint
CREATE TABLE `spam_wishes` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`account_id` integer NOT NULL,
	`content_id` integer NOT NULL,
	`prefix` blob NOT NULL,
	`kind` text NOT NULL
) STRICT;
