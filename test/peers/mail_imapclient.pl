# Perl's Mail::IMAPClient as a client: PORT LOGIN PASSWORD FOLDER; every file of FOLDER goes up, comes back, and moves.
use strict;
use warnings;
use Mail::IMAPClient;

my ($port, $login, $password, $folder) = @ARGV;
my $imap = Mail::IMAPClient->new(
    Server => "127.0.0.1", Port => $port, User => $login, Password => $password,
    Uid => 1, Peek => 1, Ignoresizeerrors => 0,
) or die "connect: $@";
my @texts = map {
    open(my $file, "<:raw", $_) or die "$_: $!";
    local $/;
    scalar <$file>;
} sort glob("$folder/*");

sub must { my ($what, $value) = @_; defined $value or die "$what: " . $imap->LastError; return $value }

must("create", $imap->create("from perl"));
my @uids = map { must("append", $imap->append_string("from perl", $_, "\\Flagged", "14-Nov-2023 22:13:20 +0000")) } @texts;
must("select", $imap->select("from perl"));
for my $at (0 .. $#texts) {
    my $text = must("fetch", $imap->message_string($uids[$at]));
    $text eq $texts[$at] or die "message $at differs: $text";
    must("size", $imap->size($uids[$at])) == length($texts[$at]) or die "size of $at";
    join(",", $imap->flags($uids[$at])) =~ /\\Flagged/ or die "flags of $at";
    must("structure", $imap->get_bodystructure($uids[$at]));
    must("envelope", $imap->get_envelope($uids[$at]));
}
my @found = $imap->search("FLAGGED");
@found == @texts or die "search: @found";
must("seen", $imap->see(@uids));
$imap->unseen_count and die "unseen";
must("create", $imap->create("from perl too"));
must("move", $imap->move("from perl too", \@uids));
must("expunge", $imap->expunge("from perl"));
$imap->message_count("from perl") == 0 or die "still there";
$imap->message_count("from perl too") == @texts or die "not there";
must("delete", $imap->delete("from perl"));
must("rename", $imap->rename("from perl too", "books of perl"));
must("select", $imap->select("books of perl"));
@uids = $imap->messages;
for my $at (0 .. $#texts) {
    must("fetch", $imap->message_string($uids[$at])) eq $texts[$at] or die "message $at differs after all that";
    join(" ", sort grep { $_ ne "\\Recent" } $imap->flags($uids[$at])) eq "\\Flagged \\Seen" or die "flags of $at";
}
must("unmark", $imap->unset_flag("Flagged", $uids[0]));
must("delete", $imap->delete_message($uids[1]));
must("expunge", $imap->expunge);
$imap->message_count == @texts - 1 or die "not expunged";
join(",", sort { $a <=> $b } $imap->search("FLAGGED")) eq join(",", @uids[2 .. $#uids]) or die "flagged";
must("logout", $imap->logout);
print "same " . @texts . "\n";
