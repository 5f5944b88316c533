<?xml version="1.0" encoding="utf-8"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
                xmlns:s="http://www.sitemaps.org/schemas/sitemap/0.9" exclude-result-prefixes="s">
  <xsl:import href="page.xsl"/>
  <xsl:template match="/s:urlset">
    <xsl:call-template name="page">
      <xsl:with-param name="title">Sitemap</xsl:with-param>
      <xsl:with-param name="body">
        <p><xsl:value-of select="count(s:url)"/> pages, the ones that matter most first.</p>
        <table>
          <tr><th>Page</th><th>Changed</th><th>Priority</th></tr>
          <xsl:for-each select="s:url">
            <xsl:sort select="concat(s:priority, substring('0.5', 1, 3 * not(s:priority)))" order="descending" data-type="number"/>
            <tr>
              <td><a href="{s:loc}"><xsl:value-of select="s:loc"/></a></td>
              <td><xsl:value-of select="s:lastmod"/></td>
              <td><xsl:value-of select="concat(s:priority, substring('0.5', 1, 3 * not(s:priority)))"/></td>
            </tr>
          </xsl:for-each>
        </table>
      </xsl:with-param>
    </xsl:call-template>
  </xsl:template>
</xsl:stylesheet>
