CREATE TABLE `annotations` (
	`account_id` integer NOT NULL,
	`mailbox_id` integer NOT NULL,
	`entry` text NOT NULL,
	`value` blob NOT NULL,
	PRIMARY KEY(`account_id`, `mailbox_id`, `entry`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `accounts` ADD `hidden_capabilities` text DEFAULT '' NOT NULL;