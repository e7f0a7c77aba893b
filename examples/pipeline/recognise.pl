# The slow one: it thinks for 20 ms about each frame, or for as many as it is told, and cuts out the part that is bright.
# A line in, a line out: number, column, row, width, pixels. A frame without anything bright ends it with status 1.

use strict;
use warnings;

my $seconds = (shift // 20) / 1000;
my $columns = 80;
$| = 1;

while (my $line = <STDIN>) {
    my ($number, $pixels) = split ' ', $line;
    select undef, undef, undef, $seconds;
    my ($left, $right, $top, $bottom);
    while ($pixels =~ /[4-9]/g) {
        my $at = pos($pixels) - 1;
        my $column = $at % $columns;
        my $row = int($at / $columns);
        $left = $column if !defined $left || $column < $left;
        $right = $column if !defined $right || $column > $right;
        $top = $row if !defined $top;
        $bottom = $row;
    }
    if (!defined $top) {
        print STDERR "frame $number shows nothing\n";
        exit 1;
    }
    my $width = $right - $left + 1;
    my $part = join '', map { substr $pixels, $_ * $columns + $left, $width } $top .. $bottom;
    print "$number $left $top $width $part\n";
}
