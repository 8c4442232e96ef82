CREATE TABLE `acl` (
	`mailbox_id` integer NOT NULL,
	`identifier` text NOT NULL,
	`rights` text NOT NULL,
	PRIMARY KEY(`mailbox_id`, `identifier`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `acl_identifier` ON `acl` (`identifier`,`mailbox_id`);--> statement-breakpoint
CREATE TABLE `seen_by` (
	`mailbox_id` integer NOT NULL,
	`account_id` integer NOT NULL,
	`modseq` integer NOT NULL,
	`uids` text NOT NULL,
	PRIMARY KEY(`mailbox_id`, `account_id`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `seen_by_account` ON `seen_by` (`account_id`,`mailbox_id`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `shared` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `annotations_mailbox` ON `annotations` (`mailbox_id`,`account_id`);--> statement-breakpoint
CREATE INDEX `group_members_member` ON `group_members` (`member`,`group_address`);